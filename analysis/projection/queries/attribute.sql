-- Grain: one row per sample that has an attribute.
SELECT
    sample_id,
    value
FROM sample_attribute
WHERE dataset_id = $dataset AND name = $attribute AND value IS NOT NULL
