SELECT
    reading,
    n_costly,
    named_share,
    n_healthy,
    false_alarm_share,
    n_swaps,
    within_share,
    n_pairs,
    found_share
FROM self_test_summary
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY reading
