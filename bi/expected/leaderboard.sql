SELECT
    leaderboard_rank,
    model_id,
    dataset_id,
    answer_accuracy,
    answer_lower,
    answer_upper,
    reference_accuracy,
    vision_accuracy,
    connector_accuracy,
    llm_accuracy,
    total_loss,
    verdict
FROM mart_leaderboard
