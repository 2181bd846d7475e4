-- The ids of the samples whose image tokens one locus holds and that may be scored.
SELECT DISTINCT sample_id
FROM token_activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
    AND sample_id NOT IN (SELECT unnest($seen))
