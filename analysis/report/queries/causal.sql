SELECT
    depth,
    module,
    layer,
    tokens,
    n,
    turned_share,
    turned_lower AS lower,
    turned_upper AS upper,
    control_share,
    control_n,
    unpatched_share,
    donor_accuracy
FROM mart_causal_flow
WHERE model_id = $model AND dataset_id = $dataset AND control = 'none'
ORDER BY tokens ASC, depth ASC
