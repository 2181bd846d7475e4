-- One row where the model is the base with a repair that was trained on the dataset.
SELECT repair
FROM mend
WHERE model_id = $model AND base_model_id = $base AND dataset_id = $dataset
