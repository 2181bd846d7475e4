-- Grain: one row per (model, dataset, fault without its seed): what a self-test found at that kind,
-- stage and severity, over its seeds. is_detectable: the diagnosis names the struck stage in every
-- trial of this severity; from a destroying fault's lowest such severity on, it is to be trusted.
WITH outcomes AS (
    SELECT *
    FROM fault_outcome
    WHERE reading = 'diagnosis' AND kind IS NOT NULL
)

SELECT
    model_id,
    dataset_id,
    trial_kind,
    kind,
    stage,
    severity,
    count(*) AS n_trials,
    avg(answer_cost) AS answer_cost,
    count(*) FILTER (WHERE is_named) AS n_named,
    count(*) FILTER (WHERE is_found) AS n_found,
    mode(verdict) AS verdict,
    bool_and(is_named) AS is_detectable
FROM outcomes
GROUP BY model_id, dataset_id, trial_kind, kind, stage, severity
