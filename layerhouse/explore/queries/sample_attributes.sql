-- Grain: one row per attribute of one sample.
SELECT
    name,
    value
FROM sample_attribute
WHERE dataset_id = $dataset AND sample_id = $sample AND value IS NOT NULL
ORDER BY name
