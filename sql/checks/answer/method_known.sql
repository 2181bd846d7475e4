-- An answer is either a likelihood or generated text.
SELECT
    model_id,
    dataset_id,
    method,
    count(*) AS n_answers
FROM answer
WHERE method NOT IN ('likelihood', 'generate')
GROUP BY model_id, dataset_id, method
