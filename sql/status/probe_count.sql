-- Grain: one row per (model, dataset, probe kind): probes on true labels that are evidence.
SELECT
    model_id,
    dataset_id,
    kind,
    count(*) FILTER (WHERE control = 'none') AS n_probes
FROM scored_probe
GROUP BY model_id, dataset_id, kind
ORDER BY model_id, dataset_id, kind
