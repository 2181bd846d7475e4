-- Every class of a dataset is in its train split.
WITH classes AS (
    SELECT *
    FROM class
),

taught AS (
    SELECT
        dataset_id,
        class_index
    FROM sample
    WHERE split = 'train'
)

SELECT
    classes.dataset_id,
    classes.class_index,
    classes.label
FROM classes
ANTI JOIN taught
    ON classes.dataset_id = taught.dataset_id AND classes.class_index = taught.class_index
