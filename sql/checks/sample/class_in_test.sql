-- Every class of a dataset is in its val and test splits.
-- level: warning
WITH classes AS (
    SELECT *
    FROM class
),

samples AS (
    SELECT *
    FROM sample
),

splits AS (
    SELECT DISTINCT
        dataset_id,
        split
    FROM samples
    WHERE split IN ('val', 'test')
)

SELECT
    classes.dataset_id,
    splits.split,
    classes.label
FROM classes
INNER JOIN splits ON classes.dataset_id = splits.dataset_id
ANTI JOIN samples
    ON
        classes.dataset_id = samples.dataset_id
        AND classes.class_index = samples.class_index
        AND splits.split = samples.split
