-- Logits are finite, so that their softmax sums to one.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_not_finite AS n_logits,
    not_finite_sample AS sample_id
FROM checked_logits
WHERE n_not_finite > 0
