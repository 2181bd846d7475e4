-- Grain: one row per locus, readout and kind of probe of one model: what its probes, one per seed,
-- say of one scored sample. `named` is what that of the lowest seed says.
SELECT
    layer.depth,
    scored_probe.module,
    scored_probe.layer,
    scored_probe.readout,
    scored_probe.kind,
    arg_min(class.label, scored_probe.seed) AS named,
    count(*) AS n_probes,
    count(*) FILTER (WHERE probe_logit.predicted_class_index = sample.class_index) AS n_right
FROM scored_probe
INNER JOIN probe_logit ON scored_probe.probe_id = probe_logit.probe_id
INNER JOIN sample
    ON
        scored_probe.dataset_id = sample.dataset_id
        AND probe_logit.sample_id = sample.sample_id
INNER JOIN layer
    ON
        scored_probe.model_id = layer.model_id
        AND scored_probe.module = layer.module
        AND scored_probe.layer = layer.layer
LEFT JOIN class
    ON
        sample.dataset_id = class.dataset_id
        AND probe_logit.predicted_class_index = class.class_index
WHERE
    scored_probe.model_id = $model
    AND scored_probe.dataset_id = $dataset
    AND scored_probe.control = 'none'
    AND probe_logit.sample_id = $sample
    AND probe_logit.split = 'test'
GROUP BY ALL
ORDER BY layer.depth, scored_probe.readout, scored_probe.kind
