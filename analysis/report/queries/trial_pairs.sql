SELECT
    stages,
    cost_band,
    is_costly,
    n_trials,
    n_found,
    answer_cost,
    least_cost
FROM fault_pair
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY stages DESC, least_cost DESC
