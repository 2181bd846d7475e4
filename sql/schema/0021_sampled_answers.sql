-- The replies behind an answer that is the class which most of several drawn ones name.
CREATE TABLE reply_draw (
    model_id VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,
    option_order VARCHAR NOT NULL,
    image_control VARCHAR NOT NULL,
    draw INTEGER NOT NULL,
    seed BIGINT NOT NULL,
    predicted_class_index INTEGER,
    text VARCHAR NOT NULL,
    raw_text VARCHAR NOT NULL,
    finish_reason VARCHAR NOT NULL,            -- stop, length
    n_tokens INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (
        model_id, dataset_id, sample_id, method, prompt_id, option_order, image_control, draw
    )
);
