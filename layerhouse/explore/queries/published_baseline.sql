-- The best baseline of the dataset of one model; no row without any.
SELECT
    best_baseline AS architecture,
    baseline_accuracy AS test_accuracy
FROM mart_leaderboard
WHERE model_id = $model AND dataset_id = $dataset AND best_baseline IS NOT NULL
