-- What the decoder would answer if it stopped after each of its layers.

-- Facts, key (model_id, dataset_id, layer, sample_id); layers are those of the module llm.
CREATE TABLE logit_lens (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    layer INTEGER NOT NULL,
    sample_id VARCHAR NOT NULL,
    label_logprobs FLOAT[] NOT NULL,
    predicted_class_index INTEGER NOT NULL,
    run_id VARCHAR NOT NULL
);
