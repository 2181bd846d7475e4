-- Grain: one row per (model, dataset, reading) with self-test trials: how far its verdicts are to
-- be trusted. A share is NULL where no trial speaks about it; only the diagnosis has intervals and
-- reports stages as present.
SELECT
    model_id,
    dataset_id,
    reading,
    count(*) AS n_trials,
    count(*) FILTER (WHERE trial_kind = 'destroying' AND is_costly) AS n_costly,
    avg(is_named::INTEGER) FILTER (WHERE trial_kind = 'destroying' AND is_costly) AS named_share,
    count(*) FILTER (WHERE trial_kind = 'healthy') AS n_healthy,
    avg(is_false_alarm::INTEGER) FILTER (WHERE trial_kind = 'healthy') AS false_alarm_share,
    count(is_within) AS n_swaps,
    avg(is_within::INTEGER) AS within_share,
    count(*) FILTER (WHERE trial_kind = 'pair' AND is_costly) AS n_pairs,
    avg(is_found::INTEGER) FILTER (WHERE trial_kind = 'pair' AND is_costly) AS found_share
FROM fault_outcome
GROUP BY model_id, dataset_id, reading
