-- Every module has a layer that can influence the answer.
WITH layers AS (
    SELECT *
    FROM layer
)

SELECT
    model_id,
    module,
    count(*) AS n_layers
FROM layers
GROUP BY model_id, module
HAVING NOT bool_or(on_path)
