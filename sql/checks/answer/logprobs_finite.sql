-- Log probabilities are finite and not above zero.
WITH answers AS (
    SELECT *
    FROM answer
    WHERE label_logprobs IS NOT NULL
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    label_logprobs
FROM answers
WHERE
    len(label_logprobs) <> list_count(label_logprobs)
    OR NOT coalesce(isfinite(list_sum(label_logprobs)), FALSE)
    OR list_max(label_logprobs) > 1e-4
