-- An answer is a likelihood, generated text, the majority of drawn ones, what a judge read or brought
-- from elsewhere.
SELECT
    model_id,
    dataset_id,
    method,
    count(*) AS n_answers
FROM answer
WHERE
    method NOT IN ('likelihood', 'generate')
    AND NOT starts_with(method, 'sampled:')
    AND NOT starts_with(method, 'judged:')
    AND NOT starts_with(method, 'imported:')
GROUP BY model_id, dataset_id, method
