-- Grain: one row per model; is_described is false of those known by answers from elsewhere alone,
-- is_brought true of those whose states another program took.
SELECT
    model_id,
    name AS model_name,
    variant,
    model_id IN (SELECT layer.model_id FROM layer) AS is_described,
    model_id IN (SELECT brought_states.model_id FROM brought_states) AS is_brought
FROM model
ORDER BY model_id
