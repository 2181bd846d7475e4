-- Grain: one row per probe that is evidence: of a model, a dataset and a kind of probe those that were
-- fitted for the dataset's score, and until every cell has such a one, those that were fitted for
-- another: probes of half of the cells would hide what the other half reads.
WITH wanted AS (
    SELECT
        probe.*,
        probe.score = coalesce(dataset.score, 'accuracy') AS is_wanted
    FROM probe
    LEFT JOIN dataset ON probe.dataset_id = dataset.dataset_id
),

cells AS (
    SELECT
        model_id,
        dataset_id,
        kind,
        coalesce(
            bool_or(is_wanted) FILTER (WHERE control = 'none'),
            bool_or(is_wanted)
        ) AS has_wanted
    FROM wanted
    GROUP BY model_id, dataset_id, kind, module, layer, readout
),

subjects AS (
    SELECT
        model_id,
        dataset_id,
        kind,
        bool_and(has_wanted) AS has_wanted
    FROM cells
    GROUP BY model_id, dataset_id, kind
)

SELECT
    wanted.probe_id,
    wanted.model_id,
    wanted.dataset_id,
    wanted.module,
    wanted.layer,
    wanted.readout,
    wanted.kind,
    wanted.control,
    wanted.seed,
    wanted.hyperparameters,
    wanted.n_train,
    wanted.n_val,
    wanted.n_test,
    wanted.fit_seconds,
    wanted.run_id,
    wanted.score
FROM wanted
INNER JOIN subjects
    ON
        wanted.model_id = subjects.model_id
        AND wanted.dataset_id = subjects.dataset_id
        AND wanted.kind = subjects.kind
WHERE wanted.is_wanted = subjects.has_wanted
