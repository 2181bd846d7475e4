-- What an audit of a dataset's images found. A later audit replaces an earlier one whole: views take
-- the rows of the run that dataset_audit names.
CREATE TABLE dataset_audit (
    dataset_id VARCHAR NOT NULL,
    n_samples INTEGER NOT NULL,
    n_compared INTEGER NOT NULL,
    not_judged VARCHAR,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id)
);

CREATE TABLE image_fact (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    brightness DOUBLE NOT NULL,
    contrast DOUBLE NOT NULL,
    border DOUBLE NOT NULL,
    colour DOUBLE NOT NULL,
    file_type VARCHAR NOT NULL,
    is_blank BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id)
);

CREATE TABLE near_duplicate (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    other_sample_id VARCHAR NOT NULL,
    cluster VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,                     -- copy, near, mirrored
    correlation DOUBLE,
    own_correlation DOUBLE,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id, other_sample_id)
);

CREATE TABLE shortcut (
    dataset_id VARCHAR NOT NULL,
    fact VARCHAR NOT NULL,
    n_values INTEGER NOT NULL,
    balanced_accuracy DOUBLE NOT NULL,
    chance DOUBLE NOT NULL,
    lower DOUBLE NOT NULL,
    upper DOUBLE NOT NULL,
    n_groups INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, fact)
);
