-- Every layer has a width.
SELECT
    model_id,
    module,
    layer,
    width
FROM layer
WHERE width < 1
