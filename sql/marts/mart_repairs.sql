-- Grain: one row per model with a repair and dataset: what the repair costs and brings back.
SELECT
    recovered_share.model_id,
    examination.model_name,
    examination.variant,
    recovered_share.base_model_id,
    recovered_share.dataset_id,
    examination.dataset_title,
    recovered_share.stage,
    stage.stage_order,
    recovered_share.repair,
    recovered_share.control,
    recovered_share.n_parameters,
    recovered_share.seconds,
    recovered_share.score,
    recovered_share.method_before,
    recovered_share.method_after,
    recovered_share.answered_before,
    recovered_share.answered_after,
    recovered_share.gain,
    recovered_share.gain_lower,
    recovered_share.gain_upper,
    recovered_share.auroc_before,
    recovered_share.auroc_after,
    recovered_share.auroc_gain,
    recovered_share.auroc_lower,
    recovered_share.auroc_upper,
    recovered_share.stage_loss,
    recovered_share.total_loss,
    recovered_share.stage_share,
    recovered_share.stage_share_lower,
    recovered_share.stage_share_upper,
    recovered_share.total_share,
    recovered_share.total_share_lower,
    recovered_share.total_share_upper,
    recovered_share.val_gain,
    recovered_share.is_sufficient,
    recovered_share.is_advised,
    recovered_share.is_best_of_stage,
    recovered_share.is_calibration,
    examination.built_on
FROM recovered_share
LEFT JOIN stage ON recovered_share.stage = stage.stage
LEFT JOIN examination
    ON
        recovered_share.model_id = examination.model_id
        AND recovered_share.dataset_id = examination.dataset_id
