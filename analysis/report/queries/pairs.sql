-- Every model on every dataset that has probes or answers to report.
SELECT DISTINCT
    model_id,
    dataset_id
FROM mart_leaderboard
ORDER BY dataset_id, model_id
