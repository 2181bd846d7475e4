-- Grain: one row per baseline that is evidence: of a dataset and an architecture those that were
-- fitted for the dataset's score, and where there are none, those that were fitted for another.
SELECT
    baseline.baseline_id,
    baseline.dataset_id,
    baseline.architecture,
    baseline.kind,
    baseline.seed,
    baseline.hyperparameters,
    baseline.n_train,
    baseline.n_val,
    baseline.n_test,
    baseline.fit_seconds,
    baseline.run_id,
    baseline.score
FROM baseline
LEFT JOIN dataset ON baseline.dataset_id = dataset.dataset_id
QUALIFY
    baseline.score = coalesce(dataset.score, 'accuracy')
    OR NOT bool_or(baseline.score = coalesce(dataset.score, 'accuracy')) OVER (
        PARTITION BY baseline.dataset_id, baseline.architecture
    )
