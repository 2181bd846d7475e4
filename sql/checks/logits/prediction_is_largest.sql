-- The predicted class has the largest logit.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_not_largest AS n_logits,
    not_largest_sample AS sample_id
FROM checked_logits
WHERE n_not_largest > 0
