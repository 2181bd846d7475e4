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
    -- The same numbers as `signal`, which is what they are called for one more version.
    AND quantity <> 'accuracy'
ORDER BY quantity DESC, stage_order ASC
