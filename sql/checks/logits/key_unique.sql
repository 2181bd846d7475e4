-- No classifier scored a sample twice.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_rows,
    n_samples
FROM checked_logits
WHERE n_rows > n_samples
