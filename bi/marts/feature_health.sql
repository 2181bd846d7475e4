SELECT
    model_id,
    module_order || ' ' || module || ' ' || track AS module_and_track,
    avg(health_score) AS health_score
FROM mart_model_health
GROUP BY model_id, module_order, module, track
