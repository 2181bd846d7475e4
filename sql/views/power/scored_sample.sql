-- Grain: one row per (dataset, test sample): how much it weighs in the dataset's score.
--
-- Under accuracy each sample alike, under balanced accuracy each class.
WITH class_sizes AS (
    SELECT
        dataset_id,
        class_index,
        count(*) AS n
    FROM sample
    WHERE split = 'test'
    GROUP BY dataset_id, class_index
)

SELECT
    sample.dataset_id,
    sample.sample_id,
    sample.group_id,
    by_score(dataset.score, 1 / class_sizes.n, 1) AS weight
FROM sample
INNER JOIN class_sizes
    ON
        sample.dataset_id = class_sizes.dataset_id
        AND sample.class_index = class_sizes.class_index
LEFT JOIN dataset ON sample.dataset_id = dataset.dataset_id
WHERE sample.split = 'test'
