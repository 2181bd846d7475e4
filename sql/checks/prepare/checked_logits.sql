-- One row per probe and per baseline: what a single pass over its logits tells. `classifier_id` is
-- the probe_id or baseline_id, `table_name` the table the logits stand in. A prediction counts as
-- the largest logit's when no other logit is larger, so ties may go either way.
WITH logit_rows AS (
    SELECT
        'probe_logit' AS table_name,
        probe_logit.probe_id AS classifier_id,
        probe.dataset_id,
        probe_logit.sample_id,
        probe_logit.split,
        probe_logit.logits,
        probe_logit.predicted_class_index
    FROM probe_logit
    LEFT JOIN probe ON probe_logit.probe_id = probe.probe_id
    UNION ALL
    SELECT
        'baseline_logit' AS table_name,
        baseline_logit.baseline_id AS classifier_id,
        baseline.dataset_id,
        baseline_logit.sample_id,
        baseline_logit.split,
        baseline_logit.logits,
        baseline_logit.predicted_class_index
    FROM baseline_logit
    LEFT JOIN baseline ON baseline_logit.baseline_id = baseline.baseline_id
),

measured AS (
    SELECT
        logit_rows.*,
        sample.split AS sample_split,
        -- Where every sample is chosen on and scored, in other folds, it has a row of either.
        logit_rows.dataset_id IN (SELECT sample_fold.dataset_id FROM sample_fold) AS is_folded,
        sample.sample_id IS NULL AS is_unknown,
        coalesce(len(logit_rows.logits) <> dataset.n_classes, TRUE) AS is_other_length,
        coalesce(
            list_count(logit_rows.logits) = len(logit_rows.logits)
            AND isfinite(list_sum(logit_rows.logits)),
            FALSE
        ) AS is_finite,
        logit_rows.predicted_class_index NOT BETWEEN 0 AND dataset.n_classes - 1
            AS is_out_of_range,
        logit_rows.logits[logit_rows.predicted_class_index + 1] AS predicted_logit,
        list_max(logit_rows.logits) AS largest_logit
    FROM logit_rows
    LEFT JOIN dataset ON logit_rows.dataset_id = dataset.dataset_id
    LEFT JOIN sample
        ON
            logit_rows.dataset_id = sample.dataset_id
            AND logit_rows.sample_id = sample.sample_id
)

SELECT
    table_name,
    classifier_id,
    dataset_id,
    count(*) AS n_rows,
    count(DISTINCT if(is_folded, concat(split, '/', sample_id), sample_id)) AS n_samples,
    count(*) FILTER (WHERE split = 'val') AS n_val,
    count(*) FILTER (WHERE split = 'test') AS n_test,
    count(*) FILTER (WHERE is_unknown) AS n_unknown,
    min(sample_id) FILTER (WHERE is_unknown) AS unknown_sample,
    count(*) FILTER (WHERE split NOT IN ('val', 'test')) AS n_seen_in_training,
    count(*) FILTER (WHERE sample_split <> split AND NOT is_folded) AS n_other_split,
    min(sample_id) FILTER (WHERE sample_split <> split AND NOT is_folded) AS other_split_sample,
    count(*) FILTER (WHERE is_other_length) AS n_other_length,
    min(sample_id) FILTER (WHERE is_other_length) AS other_length_sample,
    count(*) FILTER (WHERE NOT is_finite) AS n_not_finite,
    min(sample_id) FILTER (WHERE NOT is_finite) AS not_finite_sample,
    count(*) FILTER (WHERE is_out_of_range) AS n_out_of_range,
    min(sample_id) FILTER (WHERE is_out_of_range) AS out_of_range_sample,
    count(*) FILTER (WHERE predicted_logit < largest_logit) AS n_not_largest,
    min(sample_id) FILTER (WHERE predicted_logit < largest_logit) AS not_largest_sample
FROM measured
GROUP BY table_name, classifier_id, dataset_id
