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
    baseline.baseline_id,
    baseline.dataset_id,
    baseline.architecture,
    baseline.kind,
    baseline.seed,
    scores.split,
    scores.n,
    scores.accuracy,
    scores.balanced_accuracy,
    scores.macro_f1,
    scores.score,
    scores.score_value,
    scores.score_lower,
    scores.score_upper,
    scores.chance,
    scores.signal,
    scores.wilson_lower,
    scores.wilson_upper,
    probabilities.auroc,
    probabilities.log_loss,
    probabilities.expected_calibration_error
FROM scores
INNER JOIN baseline ON scores.source_id = baseline.baseline_id
LEFT JOIN
    probabilities
    ON baseline.baseline_id = probabilities.source_id AND scores.split = probabilities.split
