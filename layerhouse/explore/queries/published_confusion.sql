-- Grain: one row per class and what one model answered instead of it, or rightly.
SELECT
    'label_answer' AS comparison,
    class_index AS row_class_index,
    CASE WHEN answer_parsed THEN predicted_class_index END AS column_class_index,
    count(*) AS n
FROM mart_sample_outcomes
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND class_index IS NOT NULL
    AND answer_knows IS NOT NULL
GROUP BY ALL
ORDER BY row_class_index, column_class_index NULLS LAST
