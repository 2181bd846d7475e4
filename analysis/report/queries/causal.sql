SELECT
    depth,
    module,
    layer,
    tokens,
    n,
    turned_share,
    lower,
    upper,
    control_share,
    unpatched_share,
    donor_accuracy
FROM causal_flow
WHERE model_id = $model AND dataset_id = $dataset AND control = 'none'
ORDER BY tokens ASC, depth ASC
