-- The last layer of each module that can influence the answer.
SELECT
    module,
    max(layer) AS layer
FROM layer
WHERE model_id = $model AND on_path
GROUP BY module
