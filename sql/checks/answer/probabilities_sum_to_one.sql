-- The class probabilities of a likelihood answer (the softmax of its log probabilities) sum to one.
WITH answers AS (
    SELECT *
    FROM answer
    WHERE label_logprobs IS NOT NULL
),

weighted AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        method,
        list_transform(
            label_logprobs, LAMBDA x: exp(cast(x AS DOUBLE) - list_max(label_logprobs))
        ) AS weights
    FROM answers
),

totals AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        method,
        list_sum(list_transform(weights, LAMBDA x: x / list_sum(weights))) AS total
    FROM weighted
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    total
FROM totals
WHERE NOT coalesce(abs(total - 1) <= 1e-6, FALSE)
