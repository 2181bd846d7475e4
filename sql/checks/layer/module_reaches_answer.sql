-- Every module has a layer that can influence the answer.
SELECT
    model_id,
    module,
    count(*) AS n_layers
FROM layer
GROUP BY model_id, module
HAVING NOT bool_or(on_path)
