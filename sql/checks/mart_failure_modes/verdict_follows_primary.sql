-- One verdict per model and dataset; a failure mode's name exactly where that mode is primary.
SELECT
    model_id,
    dataset_id,
    list_sort(list(DISTINCT verdict)) AS verdicts,
    list_sort(list(failure_mode) FILTER (WHERE is_primary)) AS primary_modes
FROM mart_failure_modes
GROUP BY model_id, dataset_id
HAVING
    count(DISTINCT verdict) <> 1
    OR count(*) FILTER (WHERE is_primary) > 1
    OR bool_or(is_primary AND verdict <> failure_mode)
    OR (
        count(*) FILTER (WHERE is_primary) = 0
        AND any_value(verdict) NOT IN ('healthy', 'undetermined')
    )
