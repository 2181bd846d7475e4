-- A fault was injected after a known stage, and the verdict is a failure mode or a plain word.
SELECT
    trial_id,
    stage,
    verdict
FROM fault_trial
WHERE
    stage NOT IN (
        SELECT stage.stage
        FROM stage
    )
    OR verdict NOT IN (
        SELECT stage.failure_mode
        FROM stage
        UNION ALL
        SELECT unnest(['healthy', 'undetermined'])
    )
