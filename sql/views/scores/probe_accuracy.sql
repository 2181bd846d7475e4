-- Grain: one row per probe and split.
WITH probabilities AS (
    SELECT *
    FROM probability_score
    WHERE source = 'probe'
)

SELECT
    probe_score.probe_id,
    probe_score.model_id,
    probe_score.dataset_id,
    probe_score.module,
    probe_score.layer,
    probe_score.readout,
    probe_score.kind,
    probe_score.control,
    probe_score.seed,
    probe_score.split,
    probe_score.n,
    probe_score.accuracy,
    probe_score.balanced_accuracy,
    probe_score.macro_f1,
    probe_score.score,
    probe_score.score_value,
    probe_score.score_lower,
    probe_score.score_upper,
    probe_score.chance,
    probe_score.signal,
    probe_score.wilson_lower,
    probe_score.wilson_upper,
    probabilities.auroc,
    probabilities.log_loss,
    probabilities.expected_calibration_error
FROM probe_score
LEFT JOIN
    probabilities
    ON probe_score.probe_id = probabilities.source_id AND probe_score.split = probabilities.split
