SELECT
    mart.prompt_id,
    mart.option_order,
    mart.method,
    mart.n,
    mart.score_value AS accuracy,
    mart.score_lower AS lower,
    mart.score_upper AS upper,
    mart.chance,
    mart.is_understood
FROM mart_prompt_sensitivity AS mart
INNER JOIN diagnosed_method
    ON
        mart.model_id = diagnosed_method.model_id
        AND mart.dataset_id = diagnosed_method.dataset_id
        AND mart.method = diagnosed_method.method
WHERE mart.model_id = $model AND mart.dataset_id = $dataset
ORDER BY mart.prompt_id, mart.option_order
