SELECT
    run_id,
    command,
    model_id,
    started_at,
    epoch(finished_at - started_at) AS seconds,
    status,
    device,
    versions
FROM run
WHERE dataset_id = $dataset AND (model_id = $model OR model_id IS NULL)
ORDER BY started_at, run_id
