SELECT
    failure_mode,
    stage,
    accuracy_before,
    accuracy_after,
    loss,
    loss_lower,
    loss_upper,
    margin,
    is_present,
    is_primary,
    comprehension_loss,
    utilisation_loss,
    unparsed_loss,
    wrong_loss,
    reference_source
FROM mart_failure_modes
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY stage_order
