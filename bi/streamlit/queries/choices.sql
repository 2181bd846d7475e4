SELECT DISTINCT
    dataset_id,
    model_id
FROM mart_leaderboard
ORDER BY ALL
