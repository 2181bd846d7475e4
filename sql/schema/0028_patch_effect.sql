-- What a model answers where a donor's states stand in the place of its own: one row per sample,
-- locus, tokens and control.
CREATE TABLE patch_effect (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    tokens VARCHAR NOT NULL,                   -- image, last, both
    control VARCHAR NOT NULL,                  -- none, same_class, other_locus, noise
    donor_model_id VARCHAR NOT NULL,
    donor_id VARCHAR NOT NULL,
    ends_stage BOOLEAN NOT NULL,
    target_class_index INTEGER NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    own_class_index INTEGER NOT NULL,
    donor_class_index INTEGER NOT NULL,
    target_shift DOUBLE NOT NULL,
    label_shift DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (
        model_id, dataset_id, module, layer, tokens, control, donor_model_id, sample_id
    )
);
