-- A dataset has as many samples and classes as it says.
WITH samples AS (
    SELECT
        dataset_id,
        count(*) AS n_samples
    FROM sample
    GROUP BY dataset_id
),

classes AS (
    SELECT
        dataset_id,
        count(*) AS n_classes
    FROM class
    GROUP BY dataset_id
)

SELECT
    dataset.dataset_id,
    dataset.n_samples,
    dataset.n_classes,
    coalesce(samples.n_samples, 0) AS found_samples,
    coalesce(classes.n_classes, 0) AS found_classes
FROM dataset
LEFT JOIN samples ON dataset.dataset_id = samples.dataset_id
LEFT JOIN classes ON dataset.dataset_id = classes.dataset_id
WHERE
    dataset.n_samples <> coalesce(samples.n_samples, 0)
    OR dataset.n_classes <> coalesce(classes.n_classes, 0)
