SELECT
    leaderboard_rank,
    signal_rank,
    health_rank,
    model_id,
    answer_accuracy,
    answer_lower,
    answer_upper,
    answer_method,
    reference_accuracy,
    reference_source,
    vision_accuracy,
    connector_accuracy,
    llm_accuracy,
    total_loss,
    retained_signal,
    chance,
    vision_health,
    connector_health,
    llm_comprehension_health,
    llm_utilisation_health,
    overall_health,
    verdict
FROM mart_leaderboard
WHERE dataset_id = $dataset AND list_contains($models, model_id)
ORDER BY leaderboard_rank, model_id
