-- Models of which states were taken or brought on a dataset with classes, and that were neither probed
-- nor asked there.
SELECT DISTINCT
    run.model_id,
    run.dataset_id
FROM run
INNER JOIN class ON run.dataset_id = class.dataset_id
LEFT JOIN mart_leaderboard
    ON
        run.model_id = mart_leaderboard.model_id
        AND run.dataset_id = mart_leaderboard.dataset_id
WHERE run.command IN ('extract', 'import') AND mart_leaderboard.model_id IS NULL
ORDER BY run.dataset_id, run.model_id
