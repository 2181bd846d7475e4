-- An interval's lower bound does not exceed its upper bound.
SELECT
    model_id,
    dataset_id,
    module,
    track,
    lower,
    point,
    upper
FROM health_interval
WHERE lower > upper
