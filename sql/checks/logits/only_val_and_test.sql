-- Scores are stored for val and test only: no sample is scored that the classifier learnt from.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_seen_in_training AS n_logits
FROM checked_logits
WHERE n_seen_in_training > 0
