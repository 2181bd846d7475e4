-- Grain: one row per class that a scored sample has or that was named for one.
SELECT
    class_index,
    label
FROM mart_sample_outcomes
WHERE dataset_id = $dataset AND class_index IS NOT NULL
UNION
SELECT
    predicted_class_index AS class_index,
    predicted_label AS label
FROM mart_sample_outcomes
WHERE dataset_id = $dataset AND predicted_class_index IS NOT NULL
ORDER BY class_index
