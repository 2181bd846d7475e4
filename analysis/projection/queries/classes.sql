-- Grain: one row per sample of a dataset: its class.
SELECT
    sample.sample_id,
    class.label,
    class.class_index
FROM sample
LEFT JOIN class
    ON sample.dataset_id = class.dataset_id AND sample.class_index = class.class_index
WHERE sample.dataset_id = $dataset
