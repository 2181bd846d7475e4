SELECT
    h.model_id,
    m.module_order || ' ' || h.module || ' ' || h.track AS module_and_track,
    avg(h.health_score) AS health_score
FROM feature_health AS h
INNER JOIN module AS m ON h.model_id = m.model_id AND h.module = m.module
GROUP BY h.model_id, m.module_order, h.module, h.track
