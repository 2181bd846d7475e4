-- Every row of logits carries the split of its sample, so that no test sample was in training.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_other_split AS n_logits,
    other_split_sample AS sample_id
FROM checked_logits
WHERE n_other_split > 0
