-- No class is less than a tenth as frequent as the largest class of its split.
-- level: warning
WITH sizes AS (
    SELECT
        sample.dataset_id,
        sample.split,
        class.label,
        count(*) AS n_samples,
        max(count(*)) OVER (PARTITION BY sample.dataset_id, sample.split) AS n_largest
    FROM sample
    INNER JOIN class
        ON
            sample.dataset_id = class.dataset_id
            AND sample.class_index = class.class_index
    GROUP BY sample.dataset_id, sample.split, class.label
)

SELECT
    dataset_id,
    split,
    label,
    n_samples,
    n_largest
FROM sizes
WHERE n_samples * 10 < n_largest
