-- The differences of a pair in pipeline order, today's numbers with their intervals.
SELECT
    stage,
    quantity,
    value,
    base_value,
    difference,
    difference_lower AS lower,
    difference_upper AS upper
FROM mart_model_pairs
WHERE
    model_id = $model
    AND base_model_id = $base
    AND dataset_id = $dataset
    AND difference IS NOT NULL
    -- The same numbers as `accuracy`, by the name that those had.
    AND quantity <> 'signal'
ORDER BY quantity = 'accuracy' DESC, quantity DESC, stage_order ASC
