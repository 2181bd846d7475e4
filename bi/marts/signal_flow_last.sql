SELECT
    model_id,
    printf('%02d %s %d', depth, module, layer) AS locus,
    avg(test_accuracy) AS test_accuracy
FROM mart_signal_flow
WHERE readout = 'last' AND probe_kind = 'linear' AND on_path
GROUP BY model_id, depth, module, layer
