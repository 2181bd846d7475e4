-- Grain: one row per (model, dataset, two struck stages, band of cost): how often the diagnosis
-- reports both stages of a pair of faults as present, by what the cheaper of the two takes.
WITH pairs AS (
    SELECT
        fault_outcome.*,
        CASE
            WHEN exceeds(threshold.cheap, fault_outcome.least_cost)
                THEN format('under {:.0f} points', 100 * threshold.cheap)
            WHEN exceeds(threshold.costly, fault_outcome.least_cost)
                THEN format(
                    '{:.0f} to {:.0f} points', 100 * threshold.cheap, 100 * threshold.costly
                )
            ELSE format('{:.0f} points and more', 100 * threshold.costly)
        END AS cost_band
    FROM fault_outcome
    CROSS JOIN threshold
    WHERE fault_outcome.trial_kind = 'pair' AND fault_outcome.reading = 'diagnosis'
)

SELECT
    model_id,
    dataset_id,
    stages,
    cost_band,
    bool_and(is_costly) AS is_costly,
    count(*) AS n_trials,
    count(*) FILTER (WHERE is_found) AS n_found,
    count(*) FILTER (WHERE is_named) AS n_named,
    any_value(score) AS score,
    avg(answer_cost) AS answer_cost,
    avg(least_cost) AS least_cost
FROM pairs
GROUP BY model_id, dataset_id, stages, cost_band
