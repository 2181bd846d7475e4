-- Which are shown is decided by a hash of the name, so that neither order nor class decides it.
WITH shown AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY lost_at) AS n_lost
    FROM mart_sample_outcomes
    WHERE model_id = $model AND dataset_id = $dataset AND lost_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY lost_at ORDER BY md5(sample_id), sample_id) <= $shown
)

SELECT
    shown.lost_at,
    shown.n_lost,
    shown.sample_id,
    shown.group_id,
    shown.uri,
    sample.width,
    sample.height,
    sample_fold.fold,
    shown.class_index,
    shown.label,
    shown.predicted_label,
    shown.answer_method,
    shown.answer_text,
    shown.answer_parsed,
    shown.answer_finish
FROM shown
INNER JOIN sample
    ON shown.dataset_id = sample.dataset_id AND shown.sample_id = sample.sample_id
LEFT JOIN sample_fold
    ON
        shown.dataset_id = sample_fold.dataset_id
        AND shown.sample_id = sample_fold.sample_id
        AND sample_fold.repetition = 0
ORDER BY
    CASE shown.lost_at WHEN 'vision' THEN 0 WHEN 'connector' THEN 1 WHEN 'llm' THEN 2 ELSE 3 END,
    md5(shown.sample_id),
    shown.sample_id
