-- What repairs of a model bring on a dataset, cheapest first.
SELECT
    model_id,
    stage,
    repair,
    control,
    n_parameters,
    answered_before,
    answered_after,
    gain,
    gain_lower,
    gain_upper,
    auroc_before,
    auroc_after,
    stage_share,
    total_share,
    val_gain,
    is_advised,
    is_calibration
FROM recovered_share
WHERE base_model_id = $model AND dataset_id = $dataset
ORDER BY control, n_parameters, model_id
