-- Grain: one row per (model, dataset) with a verdict. A diagnosis is fresh while its intervals
-- belong to today's losses, which is what makes failure_mode show them.
WITH modes AS (
    SELECT *
    FROM mart_failure_modes
),

intervals AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_interval
)

SELECT
    modes.model_id,
    modes.dataset_id,
    any_value(modes.verdict) AS verdict,
    any_value(modes.reason) AS reason,
    CASE
        WHEN count(intervals.model_id) = 0 THEN 'none'
        WHEN bool_and(modes.loss_lower IS NOT NULL) THEN 'fresh'
        ELSE 'stale'
    END AS diagnosis
FROM modes
LEFT JOIN intervals
    ON modes.model_id = intervals.model_id AND modes.dataset_id = intervals.dataset_id
GROUP BY modes.model_id, modes.dataset_id
ORDER BY modes.model_id, modes.dataset_id
