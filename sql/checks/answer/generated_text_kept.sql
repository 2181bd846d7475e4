-- A generated answer keeps its text.
WITH answers AS (
    SELECT *
    FROM answer
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method
FROM answers
WHERE method = 'generate' AND text IS NULL
