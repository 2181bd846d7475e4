-- A dataset has as many samples and classes as it says.
WITH datasets AS (
    SELECT *
    FROM dataset
),

samples AS (
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
    datasets.dataset_id,
    datasets.n_samples,
    datasets.n_classes,
    coalesce(samples.n_samples, 0) AS found_samples,
    coalesce(classes.n_classes, 0) AS found_classes
FROM datasets
LEFT JOIN samples ON datasets.dataset_id = samples.dataset_id
LEFT JOIN classes ON datasets.dataset_id = classes.dataset_id
WHERE
    datasets.n_samples <> coalesce(samples.n_samples, 0)
    OR datasets.n_classes <> coalesce(classes.n_classes, 0)
