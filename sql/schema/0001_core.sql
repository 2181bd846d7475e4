-- The lake's tables. Names, keys and columns are the contract users query by; change them only by
-- adding a migration after this one.
--
-- Tables with a PRIMARY KEY describe things; a later commit replaces a row of the same key. The
-- others hold facts. Their key is unique too, but a doubled fact must reach `layerhouse validate`
-- to be reported, so it is stated in a comment and not enforced here.

CREATE TABLE model (
    model_id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    variant VARCHAR NOT NULL,
    hf_id VARCHAR,
    revision VARCHAR,
    model_type VARCHAR NOT NULL,
    n_parameters BIGINT NOT NULL,
    dtype VARCHAR NOT NULL,
    licence VARCHAR,
    run_id VARCHAR NOT NULL
);

CREATE TABLE module (
    model_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    module_order INTEGER NOT NULL,
    path VARCHAR NOT NULL,
    n_layers INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, module)
);

CREATE TABLE layer (
    model_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    width INTEGER NOT NULL,
    on_path BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, module, layer)
);

CREATE TABLE dataset (
    dataset_id VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    n_samples INTEGER NOT NULL,
    n_classes INTEGER NOT NULL,
    licence VARCHAR,
    run_id VARCHAR NOT NULL
);

CREATE TABLE class (
    dataset_id VARCHAR NOT NULL,
    class_index INTEGER NOT NULL,
    label VARCHAR NOT NULL,
    phrase VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, class_index)
);

CREATE TABLE sample (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    uri VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    class_index INTEGER NOT NULL,
    split VARCHAR NOT NULL,
    group_id VARCHAR NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id)
);

CREATE TABLE sample_attribute (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id, name)
);

CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY,
    command VARCHAR NOT NULL,
    model_id VARCHAR,
    dataset_id VARCHAR,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    status VARCHAR NOT NULL,
    device VARCHAR,
    config JSON NOT NULL,
    versions JSON NOT NULL
);

-- Facts, key (model_id, dataset_id, module, layer, readout, sample_id). They stay in their Parquet
-- shards: sql/views/activation.sql takes this view's place as soon as the lake holds any.
CREATE VIEW activation AS
SELECT
    cast(NULL AS VARCHAR) AS model_id,
    cast(NULL AS VARCHAR) AS dataset_id,
    cast(NULL AS VARCHAR) AS module,
    cast(NULL AS INTEGER) AS layer,
    cast(NULL AS VARCHAR) AS readout,
    cast(NULL AS VARCHAR) AS sample_id,
    cast(NULL AS FLOAT[]) AS vector,
    cast(NULL AS VARCHAR) AS run_id
WHERE FALSE;

-- Facts, key (model_id, dataset_id, sample_id, method).
CREATE TABLE answer (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    predicted_class_index INTEGER,
    label_logprobs FLOAT[],
    text VARCHAR,
    parsed BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL
);

CREATE TABLE probe (
    probe_id VARCHAR PRIMARY KEY,
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    readout VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    control VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    hyperparameters JSON NOT NULL,
    n_train INTEGER NOT NULL,
    n_val INTEGER NOT NULL,
    n_test INTEGER NOT NULL,
    fit_seconds DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL
);

-- Facts, key (probe_id, sample_id).
CREATE TABLE probe_logit (
    probe_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    logits FLOAT[] NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    run_id VARCHAR NOT NULL
);

CREATE TABLE baseline (
    baseline_id VARCHAR PRIMARY KEY,
    dataset_id VARCHAR NOT NULL,
    architecture VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    hyperparameters JSON NOT NULL,
    n_train INTEGER NOT NULL,
    n_val INTEGER NOT NULL,
    n_test INTEGER NOT NULL,
    fit_seconds DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL
);

-- Facts, key (baseline_id, sample_id).
CREATE TABLE baseline_logit (
    baseline_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    logits FLOAT[] NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    run_id VARCHAR NOT NULL
);

CREATE TABLE stage_interval (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,      -- vision, connector, llm, answer, total
    quantity VARCHAR NOT NULL,   -- signal, loss
    point DOUBLE NOT NULL,
    lower DOUBLE NOT NULL,
    upper DOUBLE NOT NULL,
    n_resamples INTEGER NOT NULL,
    n_groups INTEGER NOT NULL,
    margin DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, stage, quantity)
);

CREATE TABLE health_interval (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    track VARCHAR NOT NULL,      -- mean, last
    point DOUBLE,
    lower DOUBLE,
    upper DOUBLE,
    n_resamples INTEGER NOT NULL,
    n_groups INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, module, track)
);

CREATE TABLE fault_trial (
    trial_id VARCHAR PRIMARY KEY,
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    fault VARCHAR,
    kind VARCHAR,
    stage VARCHAR,
    severity DOUBLE,
    seed INTEGER NOT NULL,
    destroying BOOLEAN NOT NULL,
    answer_cost DOUBLE NOT NULL,
    expected_loss DOUBLE,
    estimated_loss DOUBLE,
    lower DOUBLE,
    upper DOUBLE,
    verdict VARCHAR NOT NULL,
    mean_pooled_verdict VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL
);
