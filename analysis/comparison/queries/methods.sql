-- By which method the answers were given that stand for each of the two models.
SELECT
    model_id,
    readout
FROM stage_signal
WHERE model_id IN ($model, $base) AND dataset_id = $dataset AND stage = 'answer'
