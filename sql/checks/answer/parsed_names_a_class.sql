-- An answer is marked as parsed exactly when it names a class.
WITH answers AS (
    SELECT *
    FROM answer
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    parsed,
    predicted_class_index,
    text
FROM answers
WHERE parsed <> (predicted_class_index IS NOT NULL)
