SELECT
    model_id,
    failure_mode,
    avg(loss) AS loss
FROM mart_failure_modes
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
GROUP BY model_id, stage_order, failure_mode
ORDER BY model_id, stage_order
