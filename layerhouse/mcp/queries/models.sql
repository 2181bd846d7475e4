-- Grain: one row per model of the lake.
SELECT
    model_id,
    name,
    variant,
    n_parameters
FROM model
ORDER BY model_id
