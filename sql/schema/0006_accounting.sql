-- What a run took, and what it could not use.

ALTER TABLE run ADD COLUMN seconds JSON;
ALTER TABLE run ADD COLUMN n_images BIGINT;
ALTER TABLE run ADD COLUMN n_bytes BIGINT;

CREATE TABLE rejected_sample (
    run_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (run_id, dataset_id, sample_id)
);
