-- One row where probes or answers of a model on a dataset are stored.
SELECT model_id
FROM examination
WHERE model_id = $1 AND dataset_id = $2
