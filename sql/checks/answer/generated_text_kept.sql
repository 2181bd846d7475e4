-- A generated answer keeps its text.
SELECT
    model_id,
    dataset_id,
    sample_id,
    method
FROM answer
WHERE (method = 'generate' OR starts_with(method, 'sampled:')) AND text IS NULL
