-- The verdict with the losses behind it, in pipeline order.
SELECT
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
    baseline_candidate.architecture AS baseline,
    mart_failure_modes.comprehension_loss,
    mart_failure_modes.utilisation_loss,
    mart_failure_modes.unparsed_loss,
    mart_failure_modes.truncated_loss,
    mart_failure_modes.wrong_loss,
    mart_failure_modes.calibration_loss,
    retained_signal.vision_accuracy,
    -- What is untrained itself has no floor.
    CASE
        WHEN NOT starts_with(mart_failure_modes.variant, 'random:')
            THEN retained_signal.random_accuracy
    END AS random_accuracy
FROM mart_failure_modes
LEFT JOIN retained_signal
    ON
        mart_failure_modes.model_id = retained_signal.model_id
        AND mart_failure_modes.dataset_id = retained_signal.dataset_id
LEFT JOIN baseline_candidate
    ON
        mart_failure_modes.dataset_id = baseline_candidate.dataset_id
        AND baseline_candidate.rank = 1
WHERE mart_failure_modes.model_id = $model AND mart_failure_modes.dataset_id = $dataset
ORDER BY mart_failure_modes.stage_order
