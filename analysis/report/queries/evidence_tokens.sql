SELECT
    sample_id,
    row,
    "column",
    vector
FROM token_activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
    AND sample_id IN (SELECT unnest($samples))
ORDER BY sample_id, token
