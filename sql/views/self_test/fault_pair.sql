-- Grain: one row per (model, dataset, two struck stages, band of cost): how often the diagnosis
-- reports both stages of a pair of faults as present, by what the cheaper of the two takes.
WITH pairs AS (
    SELECT
        *,
        CASE
            WHEN round(least_cost, 9) < 0.05 THEN 'under 5 points'
            WHEN round(least_cost, 9) < 0.10 THEN '5 to 10 points'
            ELSE '10 points and more'
        END AS cost_band
    FROM fault_outcome
    WHERE trial_kind = 'pair' AND reading = 'diagnosis'
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
    avg(answer_cost) AS answer_cost,
    avg(least_cost) AS least_cost
FROM pairs
GROUP BY model_id, dataset_id, stages, cost_band
