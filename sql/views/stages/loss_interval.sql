-- Grain: one row per (model, dataset, stage) with a stored interval of its loss; stage `total` is
-- the sum of all losses.
--
-- An interval is fresh when its point is the loss of today's probes, answers and baselines by today's
-- score; others count as missing. score is the one that the interval is of.
WITH losses AS (
    SELECT
        model_id,
        dataset_id,
        coalesce(stage, 'total') AS stage,
        any_value(score) AS score,
        CASE WHEN count(loss) = count(*) THEN sum(loss) END AS loss
    FROM stage_loss
    GROUP BY GROUPING SETS ((model_id, dataset_id, stage), (model_id, dataset_id))
)

SELECT
    stage_interval.model_id,
    stage_interval.dataset_id,
    stage_interval.stage,
    stage_interval.point,
    stage_interval.lower,
    stage_interval.upper,
    stage_interval.n_groups,
    stage_interval.margin,
    stage_interval.score,
    coalesce(
        abs(stage_interval.point - losses.loss) <= 1e-9 AND stage_interval.score = losses.score,
        FALSE
    ) AS is_fresh
FROM stage_interval
LEFT JOIN losses
    ON
        stage_interval.model_id = losses.model_id
        AND stage_interval.dataset_id = losses.dataset_id
        AND stage_interval.stage = losses.stage
WHERE stage_interval.quantity = 'loss'
