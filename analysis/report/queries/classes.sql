SELECT
    class_index,
    label
FROM class
WHERE dataset_id = $dataset
ORDER BY class_index
