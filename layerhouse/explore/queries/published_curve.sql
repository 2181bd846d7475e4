-- Grain: one row per locus and readout of one model, by linear probes where there are any.
SELECT
    depth,
    module,
    layer,
    layer_kind,
    on_path,
    readout,
    probe_kind,
    n_seeds,
    n_test,
    test_accuracy,
    wilson_lower,
    wilson_upper,
    chance
FROM mart_signal_flow
WHERE model_id = $model AND dataset_id = $dataset AND test_accuracy IS NOT NULL
QUALIFY
    rank() OVER (PARTITION BY readout ORDER BY probe_kind <> 'linear' ASC, probe_kind ASC) = 1
ORDER BY readout, depth
