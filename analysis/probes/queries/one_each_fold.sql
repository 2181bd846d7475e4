-- One row where the model is a repair for each fold of the dataset, whose answers alone are kept.
SELECT model_id
FROM one_each_fold
WHERE model_id = $model AND dataset_id = $dataset
