-- Datasets that are evaluated by folds instead of a split: every sample is scored, by what saw
-- nothing of its group. In `sample` all of them are `test` then; what they were before stays there.
ALTER TABLE dataset ADD COLUMN evaluation VARCHAR DEFAULT 'split';   -- split, folds
ALTER TABLE dataset ALTER COLUMN evaluation SET NOT NULL;
ALTER TABLE dataset ADD COLUMN n_folds INTEGER DEFAULT NULL;
ALTER TABLE sample ADD COLUMN given_split VARCHAR DEFAULT NULL;

CREATE TABLE sample_fold (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    repetition INTEGER NOT NULL,
    fold INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id, repetition)
);
