-- What became of one sample in one model; no row where it is not scored there.
SELECT
    vision_knows,
    connector_knows,
    llm_knows,
    answer_knows,
    lost_at,
    answer_method,
    CASE WHEN answer_parsed THEN predicted_label END AS answer,
    answer_text,
    answer_finish,
    image_quadrant
FROM mart_sample_outcomes
WHERE model_id = $model AND dataset_id = $dataset AND sample_id = $sample
