-- Grain: one row per probe and split.
WITH probabilities AS (
    SELECT *
    FROM probability_score
    WHERE source = 'probe'
)

SELECT
    s.probe_id,
    s.model_id,
    s.dataset_id,
    s.module,
    s.layer,
    s.readout,
    s.kind,
    s.control,
    s.seed,
    s.split,
    s.n,
    s.accuracy,
    s.balanced_accuracy,
    s.macro_f1,
    s.chance,
    s.signal,
    s.wilson_lower,
    s.wilson_upper,
    p.auroc,
    p.log_loss,
    p.expected_calibration_error
FROM probe_score AS s
LEFT JOIN probabilities AS p ON s.probe_id = p.source_id AND s.split = p.split
