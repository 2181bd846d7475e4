-- One row per finished run: up to how many samples of its dataset its limit lets it reach, NULL
-- without one. A limit counts places in the dataset's order, and removed samples leave theirs empty.
WITH finished AS (
    SELECT
        run_id,
        dataset_id,
        command,
        cast(json_extract(config, '$.selection.limit') AS BIGINT) AS n_places
    FROM run
    WHERE status = 'finished'
)

SELECT
    finished.run_id,
    any_value(finished.command) AS command,
    any_value(finished.n_places) - count(gone.mark) AS n_limit
FROM finished
LEFT JOIN removed_sample AS gone
    ON finished.dataset_id = gone.dataset_id AND finished.n_places > gone.place
GROUP BY finished.run_id
