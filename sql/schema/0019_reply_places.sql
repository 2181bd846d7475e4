-- Where in a model's reply the readout `reply` was taken: behind how many of its tokens, and whether
-- there the name of a class begins. Written in one commit with what was read.
CREATE TABLE reply_place (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    n_before INTEGER NOT NULL,
    names_class BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, sample_id)
);
