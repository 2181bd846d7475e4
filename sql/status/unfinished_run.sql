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
),

models AS (
    SELECT *
    FROM model
)

SELECT
    runs.run_id,
    runs.command,
    runs.model_id,
    runs.dataset_id,
    runs.started_at,
    runs.config,
    models.name AS model_name,
    models.variant,
    commits.n_commits,
    commits.last_commit_at
FROM runs
LEFT JOIN commits ON runs.run_id = commits.run_id
LEFT JOIN models ON runs.model_id = models.model_id
ORDER BY runs.started_at DESC, runs.run_id ASC
