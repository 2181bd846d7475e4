-- Grain: one row per scored thing (a probe, a baseline, a logit lens at one layer, a k-fold probe,
-- or a model's answers by one method), split, true class and predicted class. Everything that
-- scores predictions counts from here.
--
-- source_id is the probe_id, baseline_id or fold_probe_id, for a logit lens the layer of the llm;
-- answers are told apart by model, dataset and method. What k folds tested counts as test.
-- A reply that named no class has no predicted class and counts as wrong.
WITH samples AS (
    SELECT
        dataset_id,
        sample_id,
        class_index,
        split
    FROM sample
),

predictions AS (
    SELECT
        'probe' AS source,
        p.probe_id AS source_id,
        p.model_id,
        p.dataset_id,
        NULL AS method,
        l.split,
        s.class_index,
        l.predicted_class_index
    FROM probe_logit AS l
    INNER JOIN probe AS p ON l.probe_id = p.probe_id
    INNER JOIN samples AS s ON p.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
    UNION ALL
    SELECT
        'baseline' AS source,
        b.baseline_id AS source_id,
        NULL AS model_id,
        b.dataset_id,
        NULL AS method,
        l.split,
        s.class_index,
        l.predicted_class_index
    FROM baseline_logit AS l
    INNER JOIN baseline AS b ON l.baseline_id = b.baseline_id
    INNER JOIN samples AS s ON b.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
    UNION ALL
    SELECT
        'answer' AS source,
        NULL AS source_id,
        a.model_id,
        a.dataset_id,
        a.method,
        s.split,
        s.class_index,
        CASE WHEN a.parsed THEN a.predicted_class_index END AS predicted_class_index
    FROM answer AS a
    INNER JOIN samples AS s ON a.dataset_id = s.dataset_id AND a.sample_id = s.sample_id
    UNION ALL
    SELECT
        'answer' AS source,
        NULL AS source_id,
        c.model_id,
        c.dataset_id,
        'calibrated' AS method,
        s.split,
        s.class_index,
        c.predicted_class_index
    FROM calibrated_answer AS c
    INNER JOIN samples AS s ON c.dataset_id = s.dataset_id AND c.sample_id = s.sample_id
    UNION ALL
    SELECT
        'lens' AS source,
        cast(e.layer AS VARCHAR) AS source_id,
        e.model_id,
        e.dataset_id,
        NULL AS method,
        s.split,
        s.class_index,
        e.predicted_class_index
    FROM logit_lens AS e
    INNER JOIN samples AS s ON e.dataset_id = s.dataset_id AND e.sample_id = s.sample_id
    UNION ALL
    SELECT
        'fold' AS source,
        f.fold_probe_id AS source_id,
        f.model_id,
        f.dataset_id,
        NULL AS method,
        'test' AS split,
        s.class_index,
        l.predicted_class_index
    FROM fold_logit AS l
    INNER JOIN fold_probe AS f ON l.fold_probe_id = f.fold_probe_id
    INNER JOIN samples AS s ON f.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
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
