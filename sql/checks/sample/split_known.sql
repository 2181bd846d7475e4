-- Every sample is in train, val or test.
WITH samples AS (
    SELECT *
    FROM sample
)

SELECT
    dataset_id,
    sample_id,
    split
FROM samples
WHERE split NOT IN ('train', 'val', 'test')
