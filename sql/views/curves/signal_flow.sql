-- Grain: one row per model, dataset, locus, readout and probe kind, in pipeline order by depth.
--
-- Scores are means over seeds; the interval is Wilson's for that mean over n_test samples.
-- control_accuracy is the mean test accuracy of the probes trained on shuffled labels, and
-- selectivity = test_accuracy - control_accuracy (Hewitt & Liang 2019). change is the step from the
-- on-path locus before that was read the same way; off the path there is none. random_accuracy is
-- the mean test accuracy of untrained models of the same architecture (variants random:<seed>) at
-- the same place, above_random = test_accuracy - random_accuracy: what training added.
WITH tracks AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        kind,
        count(DISTINCT seed) FILTER (WHERE control = 'none') AS n_seeds,
        max(n) FILTER (WHERE control = 'none' AND split = 'test') AS n_test,
        avg(accuracy) FILTER (WHERE control = 'none' AND split = 'val') AS val_accuracy,
        avg(accuracy) FILTER (WHERE control = 'none' AND split = 'test') AS test_accuracy,
        avg(chance) FILTER (WHERE control = 'none' AND split = 'test') AS chance,
        avg(signal) FILTER (WHERE control = 'none' AND split = 'test') AS signal,
        avg(accuracy) FILTER (WHERE control = 'shuffled_labels' AND split = 'test')
            AS control_accuracy
    FROM probe_score
    GROUP BY model_id, dataset_id, module, layer, readout, kind
),

models AS (
    SELECT
        model_id,
        name,
        variant
    FROM model
),

floors AS (
    SELECT
        m.name,
        t.dataset_id,
        t.module,
        t.layer,
        t.readout,
        t.kind,
        avg(t.test_accuracy) AS random_accuracy
    FROM tracks AS t
    INNER JOIN models AS m ON t.model_id = m.model_id
    WHERE regexp_full_match(m.variant, 'random:\d+')
    GROUP BY m.name, t.dataset_id, t.module, t.layer, t.readout, t.kind
)

SELECT
    t.model_id,
    t.dataset_id,
    l.depth,
    t.module,
    t.layer,
    l.kind AS layer_kind,
    l.on_path,
    t.readout,
    t.kind,
    t.n_seeds,
    t.n_test,
    t.val_accuracy,
    t.test_accuracy,
    t.chance,
    t.signal,
    wilson_lower(t.test_accuracy * t.n_test, t.n_test) AS wilson_lower,
    wilson_upper(t.test_accuracy * t.n_test, t.n_test) AS wilson_upper,
    t.control_accuracy,
    t.test_accuracy - t.control_accuracy AS selectivity,
    CASE
        WHEN l.on_path
            THEN t.test_accuracy - lag(t.test_accuracy) OVER (
                PARTITION BY t.model_id, t.dataset_id, t.readout, t.kind, l.on_path
                ORDER BY l.depth
            )
    END AS change,
    f.random_accuracy,
    t.test_accuracy - f.random_accuracy AS above_random
FROM tracks AS t
INNER JOIN layer AS l
    ON t.model_id = l.model_id AND t.module = l.module AND t.layer = l.layer
LEFT JOIN models AS m ON t.model_id = m.model_id
LEFT JOIN floors AS f
    ON
        m.name = f.name
        AND t.dataset_id = f.dataset_id
        AND t.module = f.module
        AND t.layer = f.layer
        AND t.readout = f.readout
        AND t.kind = f.kind
WHERE t.n_seeds > 0
