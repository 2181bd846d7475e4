-- An answer is marked as parsed exactly when it names a class.
SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    parsed,
    predicted_class_index,
    text
FROM answer
WHERE parsed <> (predicted_class_index IS NOT NULL)
