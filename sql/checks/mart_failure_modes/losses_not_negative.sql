-- No stage gains signal: information cannot grow along the pipeline.
WITH modes AS (
    SELECT *
    FROM mart_failure_modes
)

SELECT
    model_id,
    dataset_id,
    failure_mode,
    signal_before,
    signal_after,
    loss
FROM modes
WHERE loss < -1e-9
