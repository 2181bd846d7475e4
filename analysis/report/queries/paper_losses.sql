SELECT
    dataset_id,
    model_id,
    failure_mode,
    stage,
    stage_order,
    score,
    accuracy_before,
    accuracy_after,
    loss,
    loss_lower,
    loss_upper,
    margin,
    is_present,
    is_primary,
    verdict
FROM mart_failure_modes
WHERE dataset_id = $dataset AND list_contains($models, model_id) AND loss IS NOT NULL
ORDER BY model_id, stage_order
