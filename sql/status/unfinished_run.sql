-- Grain: one row per run that was begun and not finished, newest first.
WITH runs AS (
    SELECT *
    FROM run
    WHERE status <> 'finished'
),

commits AS (
    SELECT
        run_id,
        count(*) AS n_commits,
        max(committed_at) AS last_commit_at
    FROM commit_record
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.command,
    runs.model_id,
    runs.dataset_id,
    runs.started_at,
    runs.config,
    model.name AS model_name,
    model.variant,
    commits.n_commits,
    commits.last_commit_at
FROM runs
LEFT JOIN commits ON runs.run_id = commits.run_id
LEFT JOIN model ON runs.model_id = model.model_id
ORDER BY runs.started_at DESC, runs.run_id ASC
