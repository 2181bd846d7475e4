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
