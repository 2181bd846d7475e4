-- What a model saw in training, whatever the split of it is: samples that are not scored today may be
-- once the dataset is evaluated by folds. A Layerhouse without this migration would score them, and
-- so refuses a lake that holds such rows.
CREATE TABLE seen_sample (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, sample_id)
);
