SELECT
    dataset_id,
    leaderboard_rank,
    model_id,
    verdict,
    score,
    total_loss,
    reference_accuracy,
    vision_accuracy,
    connector_accuracy,
    llm_accuracy,
    answer_accuracy,
    answer_lower,
    answer_upper,
    answer_auroc
FROM mart_leaderboard
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
ORDER BY dataset_id, leaderboard_rank, model_id
