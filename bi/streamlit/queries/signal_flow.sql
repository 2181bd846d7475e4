SELECT
    model_id,
    printf('%02d %s %d', depth, module, layer) AS locus,
    avg(test_accuracy) AS test_accuracy
FROM mart_signal_flow
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
    AND readout = $readout
    AND probe_kind = 'linear'
    AND on_path
GROUP BY model_id, depth, module, layer
ORDER BY model_id, depth
