-- Grain: one row per answer of one model on one sample, as often as it was asked.
SELECT
    answer.method,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    CASE WHEN answer.parsed THEN class.label END AS named,
    answer.parsed
    AND coalesce(answer.predicted_class_index = sample.class_index, FALSE) AS is_right,
    answer.finish_reason,
    coalesce(answer.raw_text, answer.text) AS reply
FROM answer
INNER JOIN sample
    ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
LEFT JOIN class
    ON
        answer.dataset_id = class.dataset_id
        AND answer.predicted_class_index = class.class_index
WHERE
    answer.model_id = $model AND answer.dataset_id = $dataset AND answer.sample_id = $sample
ORDER BY answer.method, answer.prompt_id, answer.option_order, answer.image_control
