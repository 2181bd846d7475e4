-- What a model answers where its states are moved along the direction of a class: one row per
-- sample, locus, tokens, strength and class.
CREATE TABLE steer_effect (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    tokens VARCHAR NOT NULL,                   -- image, last, both
    direction VARCHAR NOT NULL,                -- means, probe, file:NAME@HASH
    strength DOUBLE NOT NULL,
    class_index INTEGER NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    own_class_index INTEGER NOT NULL,
    shift DOUBLE NOT NULL,
    sham_shift DOUBLE NOT NULL,
    random_shifts FLOAT[] NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (
        model_id, dataset_id, module, layer, tokens, direction, strength, class_index, sample_id
    )
);
