-- A model_id is the name, or name+variant where something was done to the model.
SELECT
    model_id,
    name,
    variant
FROM model
WHERE model_id <> CASE WHEN variant = 'base' THEN name ELSE concat(name, '+', variant) END
