-- Grain: one row per outcome of one model's scored samples.
SELECT
    CASE
        WHEN answer_knows THEN 'right'
        WHEN answer_knows IS NULL THEN 'unanswered'
        ELSE coalesce(lost_at, 'wrong')
    END AS outcome,
    count(*) AS samples
FROM mart_sample_outcomes
WHERE model_id = $model AND dataset_id = $dataset
GROUP BY outcome
ORDER BY outcome
