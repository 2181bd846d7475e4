-- One row where the model is a repair for each fold of the dataset, whose answers alone are kept: as
-- the view one_each_fold has it, of tables alone, which is what probes are fitted with.
SELECT DISTINCT model_id
FROM run
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND starts_with(json_extract_string(config, '$.identity.model.adapter'), 'folds:')
