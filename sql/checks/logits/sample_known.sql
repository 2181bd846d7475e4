-- Every row of logits belongs to a sample of the classifier's dataset.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_unknown AS n_logits,
    unknown_sample AS sample_id
FROM checked_logits
WHERE dataset_id IS NOT NULL AND n_unknown > 0
