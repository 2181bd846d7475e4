SELECT
    direction,
    class_index,
    label,
    is_read,
    is_answered,
    is_owned,
    effect,
    effect_lower,
    effect_upper,
    random_most,
    p_value,
    turned_share,
    module,
    layer,
    tokens,
    strength
FROM class_ownership
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY direction ASC, class_index ASC
