-- Which are shown is decided by a hash of the name, so that neither order nor class decides it.
SELECT
    lost_at,
    count(*) OVER (PARTITION BY lost_at) AS n_lost,
    sample_id,
    group_id,
    uri,
    label,
    predicted_label,
    answer_method,
    answer_text,
    answer_parsed,
    answer_finish
FROM mart_sample_outcomes
WHERE model_id = $model AND dataset_id = $dataset AND lost_at IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY lost_at ORDER BY md5(sample_id), sample_id) <= $shown
ORDER BY
    CASE lost_at WHEN 'vision' THEN 0 WHEN 'connector' THEN 1 WHEN 'llm' THEN 2 ELSE 3 END,
    md5(sample_id),
    sample_id
