-- Grain: one row per model; is_described is false of those known by answers from elsewhere alone.
SELECT
    model_id,
    name AS model_name,
    variant,
    model_id IN (SELECT layer.model_id FROM layer) AS is_described
FROM model
ORDER BY model_id
