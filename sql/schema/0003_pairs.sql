-- Two models side by side: which model another one was made from, and how much they differ.

CREATE TABLE model_base (
    name VARCHAR PRIMARY KEY,
    base_name VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL
);

CREATE TABLE pair_interval (
    model_id VARCHAR NOT NULL,
    base_model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,      -- vision, connector, llm, answer
    quantity VARCHAR NOT NULL,   -- signal, loss, health_mean, health_last
    point DOUBLE NOT NULL,
    lower DOUBLE NOT NULL,
    upper DOUBLE NOT NULL,
    n_resamples INTEGER NOT NULL,
    n_groups INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (model_id, base_model_id, dataset_id, stage, quantity)
);
