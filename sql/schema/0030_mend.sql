-- Repairs of one stage of a model: what was trained, and how it did on val. What it brings on test is
-- computed from the answers of the model with it and of the one without.

CREATE TABLE mend (
    model_id VARCHAR NOT NULL,        -- the model with the repair
    base_model_id VARCHAR NOT NULL,   -- the model without it
    dataset_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,           -- vision, connector, llm, answer
    repair VARCHAR NOT NULL,
    control VARCHAR NOT NULL,         -- none, shuffled_labels
    n_parameters BIGINT NOT NULL,
    n_train INTEGER NOT NULL,
    n_epochs INTEGER NOT NULL,
    best_epoch INTEGER NOT NULL,
    val_score_before DOUBLE NOT NULL,
    val_score DOUBLE NOT NULL,
    val_loss_before DOUBLE NOT NULL,
    val_loss DOUBLE NOT NULL,
    score VARCHAR NOT NULL,           -- accuracy, balanced_accuracy
    seconds DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, dataset_id)
);
