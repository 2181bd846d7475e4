SELECT
    counted.comparison,
    counted.row_class_index,
    row_class.label AS row_label,
    counted.column_class_index,
    column_class.label AS column_label,
    counted.n
FROM answer_confusion AS counted
INNER JOIN class AS row_class
    ON
        counted.dataset_id = row_class.dataset_id
        AND counted.row_class_index = row_class.class_index
LEFT JOIN class AS column_class
    ON
        counted.dataset_id = column_class.dataset_id
        AND counted.column_class_index = column_class.class_index
WHERE counted.model_id = $model AND counted.dataset_id = $dataset
ORDER BY counted.comparison, counted.row_class_index, counted.column_class_index NULLS LAST
