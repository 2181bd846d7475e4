-- An interval's lower bound does not exceed its upper bound.
SELECT
    model_id,
    dataset_id,
    stage,
    quantity,
    lower,
    point,
    upper
FROM stage_interval
WHERE NOT coalesce(lower <= upper, FALSE) OR NOT isfinite(point)
