-- The verdict with the losses behind it, in pipeline order, and what to know of the numbers. Of marts
-- alone, so that a published file says what the lake does.
SELECT
    mart_failure_modes.model_id,
    mart_failure_modes.dataset_id,
    mart_failure_modes.failure_mode,
    mart_failure_modes.stage,
    mart_failure_modes.score,
    mart_failure_modes.loss,
    mart_failure_modes.loss_lower AS lower,
    mart_failure_modes.loss_upper AS upper,
    mart_failure_modes.margin,
    mart_failure_modes.is_present,
    mart_failure_modes.is_primary,
    mart_failure_modes.verdict,
    mart_failure_modes.reason,
    mart_failure_modes.accuracy_before AS before,
    mart_failure_modes.accuracy_after AS after,
    mart_failure_modes.reference_source,
    mart_leaderboard.best_baseline AS baseline,
    mart_failure_modes.comprehension_loss,
    mart_failure_modes.utilisation_loss,
    mart_failure_modes.unparsed_loss,
    mart_failure_modes.truncated_loss,
    mart_failure_modes.wrong_loss,
    mart_failure_modes.calibration_loss,
    mart_leaderboard.vision_accuracy,
    mart_leaderboard.random_accuracy,
    mart_leaderboard.total_loss_lower,
    mart_leaderboard.total_loss_upper,
    mart_leaderboard.n_left_out,
    mart_leaderboard.is_fitted_otherwise,
    mart_leaderboard.is_untrained
FROM mart_failure_modes
LEFT JOIN mart_leaderboard
    ON
        mart_failure_modes.model_id = mart_leaderboard.model_id
        AND mart_failure_modes.dataset_id = mart_leaderboard.dataset_id
WHERE mart_failure_modes.model_id = $model AND mart_failure_modes.dataset_id = $dataset
ORDER BY mart_failure_modes.stage_order
