-- No stage gains accuracy: information cannot grow along the pipeline.
SELECT
    model_id,
    dataset_id,
    failure_mode,
    signal_before,
    signal_after,
    loss
FROM mart_failure_modes
WHERE loss < -1e-9
