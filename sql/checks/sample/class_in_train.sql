-- Every class of a dataset is in its train split, unless it is evaluated by folds.
WITH taught AS (
    SELECT
        dataset_id,
        class_index
    FROM sample
    WHERE split = 'train'
)

SELECT
    class.dataset_id,
    class.class_index,
    class.label
FROM class
ANTI JOIN taught
    ON class.dataset_id = taught.dataset_id AND class.class_index = taught.class_index
WHERE class.dataset_id NOT IN (SELECT sample_fold.dataset_id FROM sample_fold)
