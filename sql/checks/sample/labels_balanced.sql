-- No class is less than a tenth as frequent as the largest class of its split.
-- level: warning
WITH classes AS (
    SELECT *
    FROM class
),

samples AS (
    SELECT *
    FROM sample
),

sizes AS (
    SELECT
        samples.dataset_id,
        samples.split,
        classes.label,
        count(*) AS n_samples,
        max(count(*)) OVER (PARTITION BY samples.dataset_id, samples.split) AS n_largest
    FROM samples
    INNER JOIN classes
        ON
            samples.dataset_id = classes.dataset_id
            AND samples.class_index = classes.class_index
    GROUP BY samples.dataset_id, samples.split, classes.label
)

SELECT
    dataset_id,
    split,
    label,
    n_samples,
    n_largest
FROM sizes
WHERE n_samples * 10 < n_largest
