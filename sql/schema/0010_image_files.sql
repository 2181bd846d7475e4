-- The files of images as they were when they were registered, so that a later change is found
-- without reading them all; and images without labels, which have no class.
CREATE TABLE image_file (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    n_bytes BIGINT NOT NULL,
    modified_ns BIGINT NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id)
);

ALTER TABLE sample ALTER COLUMN class_index DROP NOT NULL;
