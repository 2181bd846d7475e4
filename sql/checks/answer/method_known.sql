-- An answer is either a likelihood or generated text.
WITH answers AS (
    SELECT *
    FROM answer
)

SELECT
    model_id,
    dataset_id,
    method,
    count(*) AS n_answers
FROM answers
WHERE method NOT IN ('likelihood', 'generate')
GROUP BY model_id, dataset_id, method
