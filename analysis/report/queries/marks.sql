-- What three kinds of evidence say of each failure mode.
SELECT
    failure_mode,
    stage,
    is_present,
    is_primary,
    loss,
    loss_lower,
    loss_upper,
    is_lost,
    donor_model_id,
    restored_share,
    restored_lower,
    restored_upper,
    is_caused,
    tried,
    repair,
    repair_gain,
    repair_gain_lower,
    repair_gain_upper,
    recovered_share,
    recovered_lower,
    recovered_upper,
    is_mended,
    information_missing,
    use_missing,
    cure_missing,
    claim
FROM mart_evidence
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY stage_order
