-- Grain: one row per model and dataset with probes or answers, best answer first.
SELECT
    dataset_id,
    dataset_title,
    model_id,
    verdict,
    reason,
    score,
    answer_method,
    answer_accuracy,
    answer_lower,
    answer_upper,
    reference_accuracy,
    total_loss,
    n_test
FROM mart_leaderboard
ORDER BY dataset_id ASC, leaderboard_rank ASC NULLS LAST, model_id ASC
