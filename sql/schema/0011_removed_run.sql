-- What removals took out. A Layerhouse without this migration would still show those rows, and so
-- refuses a lake that holds one.
CREATE TABLE removed_run (
    run_id VARCHAR NOT NULL,                   -- the removal
    removed_run_id VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    model_id VARCHAR,
    dataset_id VARCHAR,
    last_commit INTEGER NOT NULL,              -- later commits of the same run were made anew
    n_shards BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    n_bytes BIGINT NOT NULL,
    PRIMARY KEY (run_id, removed_run_id)
);
