SELECT
    model_id,
    failure_mode,
    avg(loss) AS loss
FROM stage_loss
GROUP BY model_id, failure_mode
