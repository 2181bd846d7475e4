-- The answer knows a sample's class exactly when it names it.
SELECT
    model_id,
    dataset_id,
    sample_id,
    label,
    predicted_label,
    answer_knows
FROM mart_sample_outcomes
WHERE answer_knows <> coalesce(predicted_class_index = class_index, FALSE)
