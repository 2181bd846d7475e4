-- Grain: one row per (model, dataset) with a verdict. A diagnosis is fresh while its intervals
-- belong to today's losses, which is what makes failure_mode show them; a model without any loss, whose
-- answers were brought, has none to be older than.
WITH intervals AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_interval
)

SELECT
    mart_failure_modes.model_id,
    mart_failure_modes.dataset_id,
    any_value(mart_failure_modes.verdict) AS verdict,
    any_value(mart_failure_modes.reason) AS reason,
    CASE
        WHEN count(intervals.model_id) = 0 THEN 'none'
        WHEN bool_and(mart_failure_modes.loss IS NULL OR mart_failure_modes.loss_lower IS NOT NULL)
            THEN 'fresh'
        ELSE 'stale'
    END AS diagnosis
FROM mart_failure_modes
LEFT JOIN intervals
    ON
        mart_failure_modes.model_id = intervals.model_id
        AND mart_failure_modes.dataset_id = intervals.dataset_id
GROUP BY mart_failure_modes.model_id, mart_failure_modes.dataset_id
ORDER BY mart_failure_modes.model_id, mart_failure_modes.dataset_id
