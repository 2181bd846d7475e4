-- The extra columns of a dataset's manifest.
SELECT DISTINCT name
FROM sample_attribute
WHERE dataset_id = $dataset
ORDER BY name
