-- An answer is a likelihood, generated text or brought from elsewhere.
SELECT
    model_id,
    dataset_id,
    method,
    count(*) AS n_answers
FROM answer
WHERE method NOT IN ('likelihood', 'generate') AND NOT starts_with(method, 'imported:')
GROUP BY model_id, dataset_id, method
