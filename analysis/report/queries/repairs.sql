-- What each repair of a model brings on a dataset, cheapest first, controls last.
SELECT
    stage,
    repair,
    control,
    n_parameters,
    seconds,
    answered_before,
    answered_after,
    gain,
    gain_lower,
    gain_upper,
    auroc_gain,
    auroc_lower,
    auroc_upper,
    total_share,
    total_share_lower,
    total_share_upper,
    is_advised,
    is_calibration
FROM recovered_share
WHERE base_model_id = $model AND dataset_id = $dataset
ORDER BY control, n_parameters, stage
