WITH probes AS (
    SELECT
        flow.depth,
        flow.test_accuracy
    FROM mart_signal_flow AS flow
    LEFT JOIN probe_kind ON flow.probe_kind = probe_kind.name
    WHERE flow.model_id = $model AND flow.dataset_id = $dataset AND flow.readout = 'last'
    -- The preferred kind where there are several, so that one curve never mixes two.
    QUALIFY rank() OVER (
        ORDER BY probe_kind.preference ASC NULLS LAST, flow.probe_kind ASC
    ) = 1
)

SELECT
    lens.layer,
    lens.depth,
    layer.kind AS layer_kind,
    lens.n_samples,
    lens.score_value AS accuracy,
    lens.lower,
    lens.upper,
    lens.chance,
    probes.test_accuracy AS probe_accuracy
FROM lens_accuracy AS lens
INNER JOIN layer
    ON
        lens.model_id = layer.model_id
        AND lens.layer = layer.layer
        AND layer.module = 'llm'
LEFT JOIN probes ON lens.depth = probes.depth
WHERE lens.model_id = $model AND lens.dataset_id = $dataset AND lens.split = 'test'
ORDER BY lens.depth
