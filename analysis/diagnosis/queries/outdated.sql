-- How many stored intervals of one model on one dataset are of other losses than those of today by the
-- same score: of inputs that are the same, they were made by an older definition.
SELECT count(*) AS n
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
