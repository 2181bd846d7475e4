-- The run that the stored intervals of a pair come from.
SELECT
    run.run_id,
    run.config
FROM run
WHERE
    run.run_id IN (
        SELECT pair_interval.run_id
        FROM pair_interval
        WHERE
            pair_interval.model_id = $model
            AND pair_interval.base_model_id = $base
            AND pair_interval.dataset_id = $dataset
    )
ORDER BY run.started_at DESC, run.run_id DESC
LIMIT 1
