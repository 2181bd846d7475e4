-- Grain: one row per model, dataset and failure mode: the three kinds of evidence, side by side.
SELECT
    evidence_mark.model_id,
    examination.model_name,
    examination.variant,
    evidence_mark.dataset_id,
    examination.dataset_title,
    evidence_mark.failure_mode,
    evidence_mark.stage,
    evidence_mark.stage_order,
    evidence_mark.score,
    evidence_mark.is_present,
    evidence_mark.is_primary,
    evidence_mark.loss,
    evidence_mark.loss_lower,
    evidence_mark.loss_upper,
    evidence_mark.is_lost,
    evidence_mark.information_missing,
    evidence_mark.donor_model_id,
    evidence_mark.donor_gain,
    evidence_mark.restored_share,
    evidence_mark.restored_lower,
    evidence_mark.restored_upper,
    evidence_mark.is_caused,
    evidence_mark.use_missing,
    evidence_mark.repair,
    evidence_mark.n_parameters,
    evidence_mark.seconds,
    evidence_mark.repair_gain,
    evidence_mark.repair_gain_lower,
    evidence_mark.repair_gain_upper,
    evidence_mark.recovered_share,
    evidence_mark.recovered_lower,
    evidence_mark.recovered_upper,
    evidence_mark.is_calibration,
    evidence_mark.is_mended,
    evidence_mark.cure_missing,
    evidence_mark.claim,
    examination.built_on
FROM evidence_mark
LEFT JOIN examination
    ON
        evidence_mark.model_id = examination.model_id
        AND evidence_mark.dataset_id = examination.dataset_id
