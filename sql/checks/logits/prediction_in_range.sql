-- The predicted class is one of the dataset's.
-- tables: probe_logit, baseline_logit
SELECT
    table_name,
    classifier_id,
    dataset_id,
    n_out_of_range AS n_logits,
    out_of_range_sample AS sample_id
FROM checked_logits
WHERE n_out_of_range > 0
