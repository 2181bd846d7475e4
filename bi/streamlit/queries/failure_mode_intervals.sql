SELECT
    dataset_id,
    model_id,
    verdict,
    failure_mode,
    score,
    loss,
    loss_lower,
    loss_upper,
    is_present,
    is_primary
FROM mart_failure_modes
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
ORDER BY dataset_id, model_id, stage_order
