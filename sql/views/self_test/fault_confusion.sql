-- Grain: one row per (model, dataset, reading, kind of trial, struck stages, verdict): how often
-- the verdict was given. Destroying faults and pairs count where each fault takes at least 10
-- points of answer accuracy; the others always. The unmodified model's stage is `none`.
SELECT
    model_id,
    dataset_id,
    reading,
    trial_kind,
    coalesce(stages, stage, 'none') AS injected,
    verdict,
    count(*) AS n_trials
FROM fault_outcome
WHERE is_costly OR trial_kind IN ('healthy', 'shifting')
GROUP BY model_id, dataset_id, reading, trial_kind, coalesce(stages, stage, 'none'), verdict
