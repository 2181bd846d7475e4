-- Grain: one row per probe that is evidence: of a model, a dataset and a kind of probe those that were
-- fitted for the dataset's score, and where there are none, those that were fitted for another.
WITH wanted AS (
    SELECT
        probe.*,
        probe.score = coalesce(dataset.score, 'accuracy') AS is_wanted
    FROM probe
    LEFT JOIN dataset ON probe.dataset_id = dataset.dataset_id
),

rated AS (
    SELECT
        *,
        bool_or(is_wanted) OVER (PARTITION BY model_id, dataset_id, kind) AS has_wanted
    FROM wanted
)

SELECT
    probe_id,
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    kind,
    control,
    seed,
    hyperparameters,
    n_train,
    n_val,
    n_test,
    fit_seconds,
    run_id,
    score
FROM rated
WHERE is_wanted OR NOT has_wanted
