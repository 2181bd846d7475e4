SELECT
    model_id,
    failure_mode,
    avg(loss) AS loss
FROM mart_failure_modes
GROUP BY model_id, failure_mode
