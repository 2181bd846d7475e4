-- Every run was finished; an interrupted one goes on when its command is run again.
-- level: warning
SELECT
    run_id,
    command,
    model_id,
    dataset_id,
    started_at
FROM run
WHERE status <> 'finished'
