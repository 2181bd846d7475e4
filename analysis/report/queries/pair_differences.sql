SELECT
    model_id,
    base_model_id,
    pair_kind,
    stage,
    stage_order,
    quantity,
    value,
    base_value,
    difference,
    difference_lower,
    difference_upper,
    is_different
FROM mart_model_pairs
WHERE
    dataset_id = $dataset
    AND list_contains($models, model_id)
    AND list_contains($models, base_model_id)
    -- The same numbers as `accuracy`, by the name that those had.
    AND quantity <> 'signal'
ORDER BY
    base_model_id ASC,
    model_id ASC,
    quantity = 'accuracy' DESC,
    quantity DESC,
    stage_order ASC
