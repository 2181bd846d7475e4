-- What repairs of a model bring on a dataset, cheapest first.
SELECT
    model_id,
    stage,
    repair,
    control,
    n_parameters,
    seconds,
    answered_before,
    answered_after,
    method_before,
    method_after,
    gain,
    gain_lower,
    gain_upper,
    auroc_before,
    auroc_after,
    auroc_gain,
    auroc_lower,
    auroc_upper,
    stage_share,
    stage_share_lower,
    stage_share_upper,
    total_share,
    total_share_lower,
    total_share_upper,
    val_gain,
    is_advised,
    is_calibration
FROM mart_repairs
WHERE base_model_id = $model AND dataset_id = $dataset
ORDER BY control, n_parameters, model_id
