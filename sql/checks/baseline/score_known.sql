-- A baseline was fitted for one of the known scores.
SELECT
    baseline_id,
    score
FROM baseline
WHERE score NOT IN ('accuracy', 'balanced_accuracy')
