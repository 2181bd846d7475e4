-- Every sample is in train, val or test.
SELECT
    dataset_id,
    sample_id,
    split
FROM sample
WHERE split NOT IN ('train', 'val', 'test')
