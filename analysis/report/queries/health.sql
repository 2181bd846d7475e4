SELECT
    module,
    track,
    n_loci,
    p_start,
    p_min,
    p_end,
    gain_factor,
    variation_penalty,
    health_score,
    health_lower,
    health_upper
FROM mart_model_health
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY module_order ASC, track DESC
