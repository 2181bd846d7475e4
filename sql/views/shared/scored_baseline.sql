-- Grain: one row per baseline that is evidence: of a dataset and an architecture those that were
-- fitted for the dataset's score, and where there are none, those that were fitted for another.
WITH wanted AS (
    SELECT
        baseline.*,
        baseline.score = coalesce(dataset.score, 'accuracy') AS is_wanted
    FROM baseline
    LEFT JOIN dataset ON baseline.dataset_id = dataset.dataset_id
),

rated AS (
    SELECT
        *,
        bool_or(is_wanted) OVER (PARTITION BY dataset_id, architecture) AS has_wanted
    FROM wanted
)

SELECT
    baseline_id,
    dataset_id,
    architecture,
    kind,
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
