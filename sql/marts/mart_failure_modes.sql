-- Grain: one row per model, dataset and failure mode; the verdict is repeated on all four.
SELECT
    failure_mode.model_id,
    examination.model_name,
    examination.variant,
    failure_mode.dataset_id,
    examination.dataset_title,
    failure_mode.failure_mode,
    stage_loss.stage,
    failure_mode.stage_order,
    failure_mode.score,
    stage_loss.before AS accuracy_before,
    stage_loss.after AS accuracy_after,
    -- The names they had, kept for one version.
    stage_loss.before AS signal_before,
    stage_loss.after AS signal_after,
    failure_mode.loss,
    failure_mode.lower AS loss_lower,
    failure_mode.upper AS loss_upper,
    failure_mode.margin,
    failure_mode.is_present,
    failure_mode.is_primary,
    failure_mode.verdict,
    failure_mode.reason,
    stage_loss.reference_source,
    stage_loss.comprehension_loss,
    stage_loss.utilisation_loss,
    stage_loss.unparsed_loss,
    stage_loss.truncated_loss,
    stage_loss.wrong_loss,
    stage_loss.calibration_loss,
    examination.built_on
FROM failure_mode
LEFT JOIN stage_loss
    ON
        failure_mode.model_id = stage_loss.model_id
        AND failure_mode.dataset_id = stage_loss.dataset_id
        AND failure_mode.failure_mode = stage_loss.failure_mode
LEFT JOIN examination
    ON
        failure_mode.model_id = examination.model_id
        AND failure_mode.dataset_id = examination.dataset_id
