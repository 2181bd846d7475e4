-- Grain: one row per model.
SELECT
    model_id,
    name AS model_name,
    variant
FROM model
ORDER BY model_id
