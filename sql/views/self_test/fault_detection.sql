-- Grain: one row per (model, dataset, fault without its seed): what a self-test found at that kind,
-- stage and severity, over its seeds. is_detectable: the diagnosis names the struck stage in every
-- trial of this severity. is_reliable: also in every trial of all higher ones, so that the fault is
-- known to be found from its lowest such severity on (some shifting faults are harsher lower down).
WITH outcomes AS (
    SELECT *
    FROM fault_outcome
    WHERE reading = 'diagnosis' AND kind IS NOT NULL
),

severities AS (
    SELECT
        model_id,
        dataset_id,
        trial_kind,
        kind,
        stage,
        severity,
        count(*) AS n_trials,
        any_value(score) AS score,
        avg(answer_cost) AS answer_cost,
        count(*) FILTER (WHERE is_named) AS n_named,
        count(*) FILTER (WHERE is_found) AS n_found,
        -- Of equally frequent ones the first by name.
        mode(verdict ORDER BY verdict) AS verdict,
        bool_and(is_named) AS is_detectable
    FROM outcomes
    GROUP BY model_id, dataset_id, trial_kind, kind, stage, severity
)

SELECT
    *,
    bool_and(is_detectable) OVER (
        PARTITION BY model_id, dataset_id, trial_kind, kind, stage
        ORDER BY severity DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS is_reliable
FROM severities
