SELECT
    donor_model_id,
    stage,
    gap,
    restored_share,
    lower,
    upper,
    loss,
    extra_loss
FROM stage_restoration
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY donor_model_id ASC, stage_order ASC
