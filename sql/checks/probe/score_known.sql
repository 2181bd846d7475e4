-- A probe was fitted for one of the known scores.
SELECT
    probe_id,
    score
FROM probe
WHERE score NOT IN ('accuracy', 'balanced_accuracy')
