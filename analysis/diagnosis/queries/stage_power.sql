-- What the test images of one dataset show of one model, stage by stage; total last.
SELECT
    detectable_loss.stage,
    detectable_loss.loss,
    detectable_loss.disagreement,
    detectable_loss.n_effective,
    detectable_loss.detectable_loss,
    detectable_loss.n_to_settle
FROM detectable_loss
LEFT JOIN stage ON detectable_loss.stage = stage.stage
WHERE detectable_loss.model_id = $model AND detectable_loss.dataset_id = $dataset
ORDER BY stage.stage_order NULLS LAST
