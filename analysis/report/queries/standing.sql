SELECT
    model_id,
    dataset_id,
    dataset_title,
    answer_accuracy,
    answer_lower,
    answer_upper,
    leaderboard_rank,
    retained_signal,
    signal_rank,
    overall_health,
    health_rank,
    verdict
FROM mart_leaderboard
WHERE list_contains($datasets, dataset_id) AND list_contains($models, model_id)
ORDER BY model_id, dataset_id
