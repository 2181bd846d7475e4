-- Grain: one row per probe that is evidence: of a model, a dataset and a kind of probe those that were
-- fitted for the dataset's score, and where there are none, those that were fitted for another.
SELECT
    probe.probe_id,
    probe.model_id,
    probe.dataset_id,
    probe.module,
    probe.layer,
    probe.readout,
    probe.kind,
    probe.control,
    probe.seed,
    probe.hyperparameters,
    probe.n_train,
    probe.n_val,
    probe.n_test,
    probe.fit_seconds,
    probe.run_id,
    probe.score
FROM probe
LEFT JOIN dataset ON probe.dataset_id = dataset.dataset_id
QUALIFY
    probe.score = coalesce(dataset.score, 'accuracy')
    OR NOT bool_or(probe.score = coalesce(dataset.score, 'accuracy')) OVER (
        PARTITION BY probe.model_id, probe.dataset_id, probe.kind
    )
