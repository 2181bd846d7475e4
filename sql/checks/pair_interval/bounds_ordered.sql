-- An interval's lower bound does not exceed its upper bound.
WITH intervals AS (
    SELECT *
    FROM pair_interval
)

SELECT
    model_id,
    base_model_id,
    dataset_id,
    stage,
    quantity,
    lower,
    point,
    upper
FROM intervals
WHERE NOT coalesce(lower <= upper, FALSE) OR NOT isfinite(point)
