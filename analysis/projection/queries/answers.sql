-- Grain: one row per sample that a model was asked about: the class it named, NULL for none, by the
-- answer that its diagnosis is about.
SELECT
    answer.sample_id,
    class.label,
    class.class_index
FROM diagnosed_answer AS answer
INNER JOIN diagnosed_method AS meant
    ON
        answer.model_id = meant.model_id
        AND answer.dataset_id = meant.dataset_id
        AND answer.method = meant.method
LEFT JOIN class
    ON
        answer.parsed
        AND answer.dataset_id = class.dataset_id
        AND answer.predicted_class_index = class.class_index
WHERE answer.model_id = $model AND answer.dataset_id = $dataset
