-- A model_id is the name, or name+variant where something was done to the model.
WITH models AS (
    SELECT *
    FROM model
)

SELECT
    model_id,
    name,
    variant
FROM models
WHERE model_id <> CASE WHEN variant = 'base' THEN name ELSE concat(name, '+', variant) END
