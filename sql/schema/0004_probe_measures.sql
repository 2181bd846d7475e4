-- What can be measured at a locus beyond the probes themselves, on request.

-- The linear probe on true labels as weights of raw features: logit = coefficients . vector +
-- intercept, for every class that train shows.
CREATE TABLE probe_coefficient (
    probe_id VARCHAR NOT NULL,
    class_index INTEGER NOT NULL,
    coefficients FLOAT[] NOT NULL,
    intercept DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (probe_id, class_index)
);

CREATE TABLE code_length (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    readout VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    n_train INTEGER NOT NULL,
    portions INTEGER[] NOT NULL,
    online_bits DOUBLE NOT NULL,
    uniform_bits DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, module, layer, readout, seed)
);

CREATE TABLE locus_geometry (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    readout VARCHAR NOT NULL,
    n_samples INTEGER NOT NULL,
    effective_rank DOUBLE NOT NULL,
    intrinsic_dimension DOUBLE,
    class_separability DOUBLE,
    cka_to_previous DOUBLE,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, module, layer, readout)
);

CREATE TABLE fold_probe (
    fold_probe_id VARCHAR PRIMARY KEY,
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    readout VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    n_folds INTEGER NOT NULL,
    hyperparameters JSON NOT NULL,
    run_id VARCHAR NOT NULL
);

-- Facts, key (fold_probe_id, sample_id).
CREATE TABLE fold_logit (
    fold_probe_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    fold INTEGER NOT NULL,
    logits FLOAT[] NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    run_id VARCHAR NOT NULL
);
