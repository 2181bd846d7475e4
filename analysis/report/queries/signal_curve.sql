SELECT
    flow.depth,
    flow.module,
    flow.layer,
    flow.layer_kind,
    flow.on_path,
    flow.readout,
    flow.probe_kind,
    flow.n_seeds,
    flow.n_test,
    flow.test_accuracy,
    flow.wilson_lower,
    flow.wilson_upper,
    flow.chance
FROM mart_signal_flow AS flow
LEFT JOIN probe_kind ON flow.probe_kind = probe_kind.name
WHERE flow.model_id = $model AND flow.dataset_id = $dataset
-- The preferred kind where there are several, so that one curve never mixes two.
QUALIFY
    rank() OVER (
        PARTITION BY flow.readout
        ORDER BY probe_kind.preference ASC NULLS LAST, flow.probe_kind ASC
    ) = 1
ORDER BY flow.readout, flow.depth
