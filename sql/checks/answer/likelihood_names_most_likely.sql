-- A likelihood answer names the class whose log probability is largest.
WITH answers AS (
    SELECT *
    FROM answer
    WHERE method = 'likelihood'
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    predicted_class_index,
    label_logprobs
FROM answers
WHERE
    predicted_class_index IS NULL
    OR NOT coalesce(
        label_logprobs[predicted_class_index + 1] >= list_max(label_logprobs), FALSE
    )
