-- The group of every sample of a dataset.
SELECT
    sample_id,
    group_id
FROM sample
WHERE dataset_id = $dataset
