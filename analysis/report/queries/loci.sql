SELECT
    depth,
    module,
    layer,
    kind,
    on_path
FROM layer
WHERE model_id = $model
ORDER BY depth
