-- A run is running, or finished at a time after it started.
SELECT
    run_id,
    status,
    started_at,
    finished_at
FROM run
WHERE
    status NOT IN ('running', 'finished')
    OR (status = 'finished') <> (finished_at IS NOT NULL)
    OR finished_at < started_at
