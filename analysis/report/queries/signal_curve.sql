SELECT
    depth,
    module,
    layer,
    layer_kind,
    on_path,
    readout,
    n_seeds,
    n_test,
    test_accuracy,
    wilson_lower,
    wilson_upper,
    chance
FROM mart_signal_flow
WHERE model_id = $model AND dataset_id = $dataset
-- Linear probes where there are any, so that one curve never mixes two kinds.
QUALIFY rank() OVER (PARTITION BY readout ORDER BY probe_kind = 'linear' DESC, probe_kind) = 1
ORDER BY readout, depth
