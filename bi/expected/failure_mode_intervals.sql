SELECT
    model_id,
    dataset_id,
    failure_mode,
    score,
    loss,
    lower AS loss_lower,
    upper AS loss_upper,
    is_present,
    is_primary,
    verdict
FROM failure_mode
