-- Grain: one row per model, dataset, locus, readout and probe kind, in pipeline order by depth.
--
-- Every accuracy is by the dataset's score, mean over seeds; the interval is Wilson's for that mean
-- over n_test samples, under balanced accuracy over as many as its weights leave (`prediction_score`).
-- control_accuracy is the mean test accuracy of the probes trained on shuffled labels, and
-- above_shuffled = test_accuracy - control_accuracy; selectivity repeats it, deprecated, under the
-- name that Hewitt & Liang 2019 gave to something else. change is the step from the
-- on-path locus before that was read the same way; off the path there is none. random_accuracy is
-- the mean test accuracy of untrained models of the same architecture (variants random:<seed>) at
-- the same place whose probes are fitted for the same score, above_random = test_accuracy -
-- random_accuracy: what training added.
-- control_task_accuracy is the mean test accuracy, over seeds, of probes of random classes given to
-- the values of an attribute that recur across train and test; of several attributes the one that is
-- learnt best, of those whose probes are fitted for the score that the model's are.
-- above_control_task = test_accuracy - that is what Hewitt & Liang 2019 call selectivity.
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
        max(n_effective) FILTER (WHERE control = 'none' AND split = 'test') AS n_effective,
        any_value(score) AS score,
        avg(score_value) FILTER (WHERE control = 'none' AND split = 'val') AS val_accuracy,
        avg(score_value) FILTER (WHERE control = 'none' AND split = 'test') AS test_accuracy,
        avg(chance) FILTER (WHERE control = 'none' AND split = 'test') AS chance,
        avg(signal) FILTER (WHERE control = 'none' AND split = 'test') AS signal,
        avg(score_value) FILTER (WHERE control = 'shuffled_labels' AND split = 'test')
            AS control_accuracy
    FROM probe_score
    GROUP BY model_id, dataset_id, module, layer, readout, kind
),

models AS (
    SELECT
        model.model_id,
        model.name,
        model.variant,
        probe_fit.dataset_id,
        probe_fit.fitted_score
    FROM model
    INNER JOIN probe_fit ON model.model_id = probe_fit.model_id
),

floors AS (
    SELECT
        models.name,
        models.fitted_score,
        tracks.dataset_id,
        tracks.module,
        tracks.layer,
        tracks.readout,
        tracks.kind,
        avg(tracks.test_accuracy) AS random_accuracy
    FROM tracks
    INNER JOIN models
        ON tracks.model_id = models.model_id AND tracks.dataset_id = models.dataset_id
    WHERE regexp_full_match(models.variant, 'random:\d+')
    GROUP BY
        models.name,
        models.fitted_score,
        tracks.dataset_id,
        tracks.module,
        tracks.layer,
        tracks.readout,
        tracks.kind
),

learnt AS (
    SELECT
        target_probe.model_id,
        target_probe.dataset_id,
        target_probe.module,
        target_probe.layer,
        target_probe.readout,
        target_probe.kind,
        avg(
            by_score(
                dataset.score,
                target_probe.balanced_accuracy,
                target_probe.n_right / target_probe.n_test
            )
        ) AS accuracy
    FROM target_probe
    INNER JOIN probe_fit
        ON
            target_probe.model_id = probe_fit.model_id
            AND target_probe.dataset_id = probe_fit.dataset_id
    LEFT JOIN run ON target_probe.run_id = run.run_id
    LEFT JOIN dataset ON target_probe.dataset_id = dataset.dataset_id
    WHERE
        starts_with(target_probe.target, 'control_task:')
        -- A run that says no score fitted for accuracy.
        AND coalesce(json_extract_string(run.config, '$.settings.score'), 'accuracy')
        = probe_fit.fitted_score
    GROUP BY
        target_probe.model_id,
        target_probe.dataset_id,
        target_probe.module,
        target_probe.layer,
        target_probe.readout,
        target_probe.kind,
        target_probe.target
),

control_tasks AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        kind,
        max(accuracy) AS accuracy
    FROM learnt
    GROUP BY model_id, dataset_id, module, layer, readout, kind
)

SELECT
    tracks.model_id,
    tracks.dataset_id,
    layer.depth,
    tracks.module,
    tracks.layer,
    layer.kind AS layer_kind,
    layer.on_path,
    tracks.readout,
    tracks.kind,
    tracks.n_seeds,
    tracks.n_test,
    tracks.score,
    tracks.val_accuracy,
    tracks.test_accuracy,
    tracks.chance,
    tracks.signal,
    wilson_lower(tracks.test_accuracy * tracks.n_effective, tracks.n_effective) AS wilson_lower,
    wilson_upper(tracks.test_accuracy * tracks.n_effective, tracks.n_effective) AS wilson_upper,
    tracks.control_accuracy,
    tracks.test_accuracy - tracks.control_accuracy AS above_shuffled,
    tracks.test_accuracy - tracks.control_accuracy AS selectivity,
    CASE
        WHEN layer.on_path
            THEN tracks.test_accuracy - lag(tracks.test_accuracy) OVER (
                PARTITION BY
                    tracks.model_id, tracks.dataset_id, tracks.readout, tracks.kind, layer.on_path
                ORDER BY layer.depth
            )
    END AS change,
    floors.random_accuracy,
    tracks.test_accuracy - floors.random_accuracy AS above_random,
    control_tasks.accuracy AS control_task_accuracy,
    tracks.test_accuracy - control_tasks.accuracy AS above_control_task
FROM tracks
INNER JOIN layer
    ON
        tracks.model_id = layer.model_id
        AND tracks.module = layer.module
        AND tracks.layer = layer.layer
LEFT JOIN models ON tracks.model_id = models.model_id AND tracks.dataset_id = models.dataset_id
LEFT JOIN floors
    ON
        models.name = floors.name
        AND models.fitted_score = floors.fitted_score
        AND tracks.dataset_id = floors.dataset_id
        AND tracks.module = floors.module
        AND tracks.layer = floors.layer
        AND tracks.readout = floors.readout
        AND tracks.kind = floors.kind
LEFT JOIN control_tasks
    ON
        tracks.model_id = control_tasks.model_id
        AND tracks.dataset_id = control_tasks.dataset_id
        AND tracks.module = control_tasks.module
        AND tracks.layer = control_tasks.layer
        AND tracks.readout = control_tasks.readout
        AND tracks.kind = control_tasks.kind
WHERE tracks.n_seeds > 0
