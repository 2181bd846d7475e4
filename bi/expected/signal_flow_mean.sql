SELECT
    model_id,
    lpad(depth::VARCHAR, 2, '0') || ' ' || module || ' ' || layer AS locus,
    avg(test_accuracy) AS test_accuracy
FROM signal_flow
WHERE readout = 'mean' AND kind = 'linear' AND on_path
GROUP BY model_id, depth, module, layer
