-- The values of one extra column of a dataset's manifest.
SELECT
    sample_id,
    value
FROM sample_attribute
WHERE dataset_id = $dataset AND name = $attribute AND value IS NOT NULL
ORDER BY sample_id
