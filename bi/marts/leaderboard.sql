SELECT
    leaderboard_rank,
    model_id,
    dataset_id,
    score,
    answer_accuracy,
    answer_lower,
    answer_upper,
    answer_auroc,
    reference_accuracy,
    vision_accuracy,
    connector_accuracy,
    llm_accuracy,
    total_loss,
    verdict
FROM mart_leaderboard
