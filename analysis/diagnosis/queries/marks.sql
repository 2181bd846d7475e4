-- What three kinds of evidence say of each failure mode, in pipeline order.
SELECT
    failure_mode,
    stage,
    is_present,
    is_primary,
    loss,
    loss_lower,
    loss_upper,
    is_lost,
    information_missing,
    donor_model_id,
    donor_gain,
    restored_share,
    restored_lower,
    restored_upper,
    is_caused,
    use_missing,
    repair,
    n_parameters,
    seconds,
    repair_gain,
    repair_gain_lower,
    repair_gain_upper,
    recovered_share,
    recovered_lower,
    recovered_upper,
    is_calibration,
    is_mended,
    cure_missing,
    claim
FROM mart_evidence
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY stage_order
