SELECT
    sample_id,
    other_sample_id
FROM near_duplicate_pair
WHERE dataset_id = $dataset
ORDER BY sample_id, other_sample_id
