-- The run that the stored intervals of one model on one dataset come from.
SELECT
    run.run_id,
    run.config
FROM run
WHERE
    run.run_id IN (
        SELECT stage_interval.run_id
        FROM stage_interval
        WHERE stage_interval.model_id = $model AND stage_interval.dataset_id = $dataset
        UNION
        SELECT health_interval.run_id
        FROM health_interval
        WHERE health_interval.model_id = $model AND health_interval.dataset_id = $dataset
    )
ORDER BY run.started_at DESC, run.run_id DESC
LIMIT 1
