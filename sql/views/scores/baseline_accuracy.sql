-- Grain: one row per baseline and split.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'baseline'
),

probabilities AS (
    SELECT *
    FROM probability_score
    WHERE source = 'baseline'
)

SELECT
    b.baseline_id,
    b.dataset_id,
    b.architecture,
    b.kind,
    b.seed,
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
FROM scores AS s
INNER JOIN baseline AS b ON s.source_id = b.baseline_id
LEFT JOIN probabilities AS p ON b.baseline_id = p.source_id AND s.split = p.split
