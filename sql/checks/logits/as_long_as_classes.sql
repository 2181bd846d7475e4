-- There are as many logits as the dataset has classes.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_other_length AS n_logits,
    other_length_sample AS sample_id
FROM checked_logits
WHERE dataset_id IS NOT NULL AND n_other_length > 0
