SELECT
    model_id,
    dataset_id,
    sample_id,
    label,
    predicted_label,
    answer_text,
    vision_knows,
    connector_knows,
    llm_knows,
    answer_knows,
    lost_at,
    uri
FROM mart_sample_outcomes
