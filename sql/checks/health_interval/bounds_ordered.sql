-- An interval's lower bound does not exceed its upper bound.
WITH intervals AS (
    SELECT *
    FROM health_interval
)

SELECT
    model_id,
    dataset_id,
    module,
    track,
    lower,
    point,
    upper
FROM intervals
WHERE lower > upper
