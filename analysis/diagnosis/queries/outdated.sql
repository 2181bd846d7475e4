-- How many stored intervals of one model on one dataset are of other losses or health scores than those
-- of today by the same score: of inputs that are the same, they were made by an older definition.
WITH losses AS (
    SELECT loss_interval.point
    FROM loss_interval
    INNER JOIN stage_loss
        ON
            loss_interval.model_id = stage_loss.model_id
            AND loss_interval.dataset_id = stage_loss.dataset_id
            AND loss_interval.stage = stage_loss.stage
            AND loss_interval.score = stage_loss.score
    WHERE
        loss_interval.model_id = $model
        AND loss_interval.dataset_id = $dataset
        AND stage_loss.loss IS NOT NULL
        AND NOT loss_interval.is_fresh
),

scores AS (
    SELECT health_interval.point
    FROM health_interval
    INNER JOIN mart_model_health AS today
        ON
            health_interval.model_id = today.model_id
            AND health_interval.dataset_id = today.dataset_id
            AND health_interval.module = today.module
            AND health_interval.track = today.track
            AND health_interval.score = today.score
    WHERE
        health_interval.model_id = $model
        AND health_interval.dataset_id = $dataset
        AND today.health_score IS NOT NULL
        AND today.health_lower IS NULL
)

SELECT count(*) AS n
FROM (
    SELECT losses.point
    FROM losses
    UNION ALL
    SELECT scores.point
    FROM scores
) AS outdated
