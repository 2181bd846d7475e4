-- What can be read of a sample besides its class, and what passes the border from vision to connector.

-- One fit of a probe to other labels than the classes, scored on test against those labels. Rows of
-- probe and of the views on them are of class labels alone.
CREATE TABLE target_probe (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    readout VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    target VARCHAR NOT NULL,                   -- attribute:<name>, control_task:<name>
    seed INTEGER NOT NULL,
    n_labels INTEGER NOT NULL,
    n_train INTEGER NOT NULL,
    n_val INTEGER NOT NULL,
    n_test INTEGER NOT NULL,
    n_right INTEGER NOT NULL,
    n_largest INTEGER NOT NULL,
    balanced_accuracy DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, module, layer, readout, kind, target, seed)
);

CREATE TABLE attribute_label (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    attribute VARCHAR NOT NULL,
    label_index INTEGER NOT NULL,
    value VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id, attribute)
);

CREATE TABLE attribute_shortcut (
    dataset_id VARCHAR NOT NULL,
    attribute VARCHAR NOT NULL,
    n_values INTEGER NOT NULL,
    balanced_accuracy DOUBLE NOT NULL,
    chance DOUBLE NOT NULL,
    lower DOUBLE NOT NULL,
    upper DOUBLE NOT NULL,
    n_groups INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, attribute)
);

CREATE TABLE border_fidelity (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    readout VARCHAR NOT NULL,
    vision_layer INTEGER NOT NULL,
    n_samples INTEGER NOT NULL,
    n_groups INTEGER NOT NULL,
    n_neighbours INTEGER NOT NULL,
    neighbour_overlap DOUBLE NOT NULL,
    overlap_lower DOUBLE NOT NULL,
    overlap_upper DOUBLE NOT NULL,
    overlap_chance DOUBLE NOT NULL,
    cka DOUBLE,
    cka_lower DOUBLE,
    cka_upper DOUBLE,
    n_train INTEGER NOT NULL,
    n_test INTEGER NOT NULL,
    penalty DOUBLE NOT NULL,
    reconstruction DOUBLE NOT NULL,
    reconstruction_lower DOUBLE NOT NULL,
    reconstruction_upper DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id, readout)
);
