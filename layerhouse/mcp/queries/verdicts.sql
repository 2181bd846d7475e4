-- Grain: one row per model and dataset with probes or answers, best answer first.
SELECT
    model_id,
    dataset_id,
    score,
    answer_accuracy,
    answer_lower,
    answer_upper,
    answer_method,
    n_test,
    reference_accuracy,
    total_loss,
    verdict,
    reason
FROM mart_leaderboard
ORDER BY dataset_id, leaderboard_rank, model_id
