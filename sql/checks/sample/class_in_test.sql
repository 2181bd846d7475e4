-- Every class of a dataset is in its val and test splits.
-- level: warning
WITH splits AS (
    SELECT DISTINCT
        dataset_id,
        split
    FROM sample
    WHERE split IN ('val', 'test')
)

SELECT
    class.dataset_id,
    splits.split,
    class.label
FROM class
INNER JOIN splits ON class.dataset_id = splits.dataset_id
ANTI JOIN sample
    ON
        class.dataset_id = sample.dataset_id
        AND class.class_index = sample.class_index
        AND splits.split = sample.split
