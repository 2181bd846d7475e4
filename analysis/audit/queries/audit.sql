SELECT
    n_samples,
    n_compared,
    not_judged
FROM dataset_audit
WHERE dataset_id = $dataset
