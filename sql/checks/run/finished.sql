-- Every run was finished; an interrupted one goes on when its command is run again.
-- level: warning
WITH runs AS (
    SELECT *
    FROM run
)

SELECT
    run_id,
    command,
    model_id,
    dataset_id,
    started_at
FROM runs
WHERE status <> 'finished'
