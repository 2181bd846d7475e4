-- Every layer has a width.
WITH layers AS (
    SELECT *
    FROM layer
)

SELECT
    model_id,
    module,
    layer,
    width
FROM layers
WHERE width < 1
