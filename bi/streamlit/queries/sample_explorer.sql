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
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
ORDER BY answer_knows, model_id, dataset_id, sample_id
