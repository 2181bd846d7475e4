-- Grain: one row per attribute of a dataset's samples.
SELECT
    name,
    count(DISTINCT value) AS n_values
FROM sample_attribute
WHERE dataset_id = $dataset AND value IS NOT NULL
GROUP BY name
ORDER BY name
