SELECT
    lens.layer,
    lens.depth,
    layer.kind AS layer_kind,
    lens.n_samples,
    lens.accuracy,
    lens.lower,
    lens.upper,
    lens.chance,
    flow.test_accuracy AS probe_accuracy
FROM lens_accuracy AS lens
INNER JOIN layer
    ON
        lens.model_id = layer.model_id
        AND lens.layer = layer.layer
        AND layer.module = 'llm'
LEFT JOIN mart_signal_flow AS flow
    ON
        lens.model_id = flow.model_id
        AND lens.dataset_id = flow.dataset_id
        AND lens.depth = flow.depth
        AND flow.readout = 'last'
        AND flow.probe_kind = 'linear'
WHERE lens.model_id = $model AND lens.dataset_id = $dataset AND lens.split = 'test'
ORDER BY lens.depth
