-- The curves whose health scores get intervals, each in pipeline order.
SELECT
    module,
    track,
    locus_module,
    layer,
    kind,
    is_start,
    is_end
FROM health_curve
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY module, track, depth
