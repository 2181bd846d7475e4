SELECT
    model_id,
    module_order || ' ' || module || ' ' || track AS module_and_track,
    avg(health_score) AS health_score
FROM mart_model_health
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
GROUP BY model_id, module_order, module, track
ORDER BY model_id, module_and_track
