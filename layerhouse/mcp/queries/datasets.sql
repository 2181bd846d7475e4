-- Grain: one row per dataset of the lake, with its classes in order.
SELECT
    dataset.dataset_id,
    dataset.title,
    dataset.n_samples,
    dataset.n_classes,
    dataset.score,
    dataset.evaluation,
    list(class.label ORDER BY class.class_index) AS classes
FROM dataset
LEFT JOIN class ON dataset.dataset_id = class.dataset_id
GROUP BY ALL
ORDER BY dataset.dataset_id
