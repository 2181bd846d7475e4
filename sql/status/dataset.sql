-- Grain: one row per dataset, with the architectures of its baselines.
WITH datasets AS (
    SELECT *
    FROM dataset
),

architectures AS (
    SELECT
        dataset_id,
        list_sort(list(DISTINCT architecture)) AS baselines
    FROM baseline
    GROUP BY dataset_id
)

SELECT
    datasets.dataset_id,
    datasets.title,
    datasets.n_samples,
    datasets.n_classes,
    coalesce(architectures.baselines, []) AS baselines
FROM datasets
LEFT JOIN architectures ON datasets.dataset_id = architectures.dataset_id
ORDER BY datasets.dataset_id
