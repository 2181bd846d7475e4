-- Grain: one row per answer of one model on one sample, as often as it was asked.
SELECT
    answer.method,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    class.label AS predicted,
    answer.parsed,
    answer.finish_reason,
    answer.text,
    answer.label_logprobs
FROM answer
LEFT JOIN class
    ON
        answer.dataset_id = class.dataset_id
        AND answer.predicted_class_index = class.class_index
WHERE answer.model_id = $1 AND answer.dataset_id = $2 AND answer.sample_id = $3
ORDER BY answer.method, answer.prompt_id, answer.option_order, answer.image_control
