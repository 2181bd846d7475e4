SELECT
    sample_id,
    name,
    value
FROM sample_attribute
WHERE dataset_id = $dataset
ORDER BY name, sample_id
