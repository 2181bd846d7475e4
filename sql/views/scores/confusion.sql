-- Grain: one row per scored thing (a probe, a baseline, a logit lens at one layer, a k-fold probe,
-- or a model's answers by one method), split, true class and predicted class. Everything that
-- scores predictions counts from here.
--
-- source_id is the probe_id, baseline_id or fold_probe_id, for a logit lens the layer of the llm;
-- answers are told apart by model, dataset and method. What k folds tested counts as test.
-- A reply that named no class has no predicted class and counts as wrong.
WITH predictions AS (
    SELECT
        'probe' AS source,
        scored_probe.probe_id AS source_id,
        scored_probe.model_id,
        scored_probe.dataset_id,
        NULL AS method,
        l.split,
        sample.class_index,
        l.predicted_class_index
    FROM probe_logit AS l
    INNER JOIN scored_probe ON l.probe_id = scored_probe.probe_id
    INNER JOIN sample
        ON scored_probe.dataset_id = sample.dataset_id AND l.sample_id = sample.sample_id
    UNION ALL
    SELECT
        'baseline' AS source,
        scored_baseline.baseline_id AS source_id,
        NULL AS model_id,
        scored_baseline.dataset_id,
        NULL AS method,
        l.split,
        sample.class_index,
        l.predicted_class_index
    FROM baseline_logit AS l
    INNER JOIN scored_baseline ON l.baseline_id = scored_baseline.baseline_id
    INNER JOIN sample
        ON scored_baseline.dataset_id = sample.dataset_id AND l.sample_id = sample.sample_id
    UNION ALL
    SELECT
        'answer' AS source,
        NULL AS source_id,
        answer.model_id,
        answer.dataset_id,
        answer.method,
        sample.split,
        sample.class_index,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM diagnosed_answer AS answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    UNION ALL
    SELECT
        'answer' AS source,
        NULL AS source_id,
        calibrated_answer.model_id,
        calibrated_answer.dataset_id,
        'calibrated' AS method,
        sample.split,
        sample.class_index,
        calibrated_answer.predicted_class_index
    FROM calibrated_answer
    INNER JOIN sample
        ON
            calibrated_answer.dataset_id = sample.dataset_id
            AND calibrated_answer.sample_id = sample.sample_id
    UNION ALL
    SELECT
        'lens' AS source,
        cast(logit_lens.layer AS VARCHAR) AS source_id,
        logit_lens.model_id,
        logit_lens.dataset_id,
        NULL AS method,
        sample.split,
        sample.class_index,
        logit_lens.predicted_class_index
    FROM logit_lens
    INNER JOIN sample
        ON logit_lens.dataset_id = sample.dataset_id AND logit_lens.sample_id = sample.sample_id
    LEFT JOIN left_out_sample AS gone
        ON
            logit_lens.model_id = gone.model_id
            AND logit_lens.dataset_id = gone.dataset_id
            AND logit_lens.sample_id = gone.sample_id
    WHERE gone.sample_id IS NULL
    UNION ALL
    SELECT
        'fold' AS source,
        fold_probe.fold_probe_id AS source_id,
        fold_probe.model_id,
        fold_probe.dataset_id,
        NULL AS method,
        'test' AS split,
        sample.class_index,
        l.predicted_class_index
    FROM fold_logit AS l
    INNER JOIN fold_probe ON l.fold_probe_id = fold_probe.fold_probe_id
    INNER JOIN sample
        ON fold_probe.dataset_id = sample.dataset_id AND l.sample_id = sample.sample_id
)

SELECT
    source,
    source_id,
    model_id,
    dataset_id,
    method,
    split,
    class_index,
    predicted_class_index,
    count(*) AS n
FROM predictions
GROUP BY ALL
