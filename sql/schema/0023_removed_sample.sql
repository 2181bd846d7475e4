-- Single samples that were taken out. A Layerhouse without this migration would still show them, and
-- so refuses a lake that holds such a removal.
CREATE TABLE removed_sample (
    run_id VARCHAR NOT NULL,                   -- the removal
    dataset_id VARCHAR NOT NULL,
    mark VARCHAR NOT NULL,                     -- sha256 of its sample_id
    place INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, mark)
);
