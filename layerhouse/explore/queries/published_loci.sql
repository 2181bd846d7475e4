-- Grain: one row per locus of one model that was probed, from pixel to answer.
SELECT DISTINCT
    depth,
    module,
    layer,
    layer_kind AS kind,
    on_path
FROM mart_signal_flow
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY depth
