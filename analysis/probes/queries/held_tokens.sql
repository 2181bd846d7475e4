-- The ids of the samples whose image tokens one locus holds.
SELECT DISTINCT sample_id
FROM token_activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
