-- Grain: one row per dataset, with the architectures of its baselines and whether folds are scored.
WITH architectures AS (
    SELECT
        dataset_id,
        list_sort(list(DISTINCT architecture)) AS baselines
    FROM baseline
    GROUP BY dataset_id
)

SELECT
    dataset.dataset_id,
    dataset.title,
    dataset.n_samples,
    dataset.n_classes,
    coalesce(architectures.baselines, []) AS baselines,
    dataset.evaluation = 'folds' AS by_folds
FROM dataset
LEFT JOIN architectures ON dataset.dataset_id = architectures.dataset_id
ORDER BY dataset.dataset_id
