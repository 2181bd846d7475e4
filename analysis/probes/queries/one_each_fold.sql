-- One row where the model is a repair for each fold of the dataset, whose answers alone are kept.
SELECT DISTINCT model_id
FROM run
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND starts_with(json_extract_string(config, '$.identity.model.adapter'), 'folds:')
