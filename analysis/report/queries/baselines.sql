SELECT
    architecture,
    n_seeds,
    n_test,
    val_accuracy,
    test_accuracy,
    rank
FROM baseline_candidate
WHERE dataset_id = $dataset
ORDER BY rank
