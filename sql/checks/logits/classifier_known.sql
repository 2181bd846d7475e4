-- Every row of logits belongs to a classifier whose description is stored.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_rows
FROM checked_logits
WHERE dataset_id IS NULL
