-- Grain: one row per value of an attribute, the most frequent first.
SELECT
    value,
    count(*) AS samples
FROM sample_attribute
WHERE dataset_id = $dataset AND name = $attribute AND value IS NOT NULL
GROUP BY value
ORDER BY samples DESC, value ASC
LIMIT 200
