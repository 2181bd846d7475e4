-- The losses of the four stages sum to the total loss.
WITH losses AS (
    SELECT *
    FROM stage_interval
    WHERE quantity = 'loss'
),

sums AS (
    SELECT
        model_id,
        dataset_id,
        sum(point) FILTER (WHERE stage <> 'total') AS sum_of_stages,
        max(point) FILTER (WHERE stage = 'total') AS total
    FROM losses
    GROUP BY model_id, dataset_id
)

SELECT
    model_id,
    dataset_id,
    sum_of_stages,
    total
FROM sums
WHERE abs(sum_of_stages - total) > 1e-9
