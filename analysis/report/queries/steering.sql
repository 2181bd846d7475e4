-- Of every class and locus that it was written at how its answer follows, of the tokens and strengths
-- there those by which it does so furthest; of one source of directions, class means where there are any.
SELECT
    direction,
    class_index,
    label,
    depth,
    module,
    layer,
    tokens,
    strength,
    effect,
    random_most,
    sham_effect,
    p_value,
    is_beyond
FROM steer_flow
WHERE model_id = $model AND dataset_id = $dataset
QUALIFY
    row_number() OVER (
        PARTITION BY direction, class_index, depth
        ORDER BY p_value ASC, z DESC, tokens ASC, strength ASC
    ) = 1
    AND direction = first_value(direction) OVER (ORDER BY direction = 'means' DESC, direction ASC)
ORDER BY class_index ASC, depth ASC
