-- Grain: one row per stage of one model: the accuracy that is still available after it.
WITH accuracies AS (
    SELECT
        chance,
        answer_method,
        answer_lower,
        answer_upper,
        unnest(['vision', 'connector', 'llm', 'answer']) AS stage,
        unnest([0, 1, 2, 3]) AS stage_order,
        unnest([vision_accuracy, connector_accuracy, llm_accuracy, answer_accuracy]) AS accuracy
    FROM mart_leaderboard
    WHERE model_id = $model AND dataset_id = $dataset
)

SELECT
    stage,
    accuracy AS available_accuracy,
    accuracy AS test_accuracy,
    accuracy AS score_value,
    chance,
    CASE WHEN stage = 'answer' THEN answer_method END AS readout,
    CASE WHEN stage = 'answer' THEN answer_method END AS method,
    CASE WHEN stage = 'answer' THEN answer_lower END AS wilson_lower,
    CASE WHEN stage = 'answer' THEN answer_upper END AS wilson_upper,
    CASE WHEN stage = 'answer' THEN answer_lower END AS score_lower,
    CASE WHEN stage = 'answer' THEN answer_upper END AS score_upper
FROM accuracies
WHERE accuracy IS NOT NULL
ORDER BY stage_order
