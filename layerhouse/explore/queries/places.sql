-- Grain: one row per locus and readout of one model whose vectors were probed, from pixel to answer.
SELECT DISTINCT
    layer.depth,
    probe.module,
    probe.layer,
    probe.readout
FROM probe
INNER JOIN layer
    ON
        probe.model_id = layer.model_id
        AND probe.module = layer.module
        AND probe.layer = layer.layer
WHERE
    probe.model_id = $model
    AND probe.dataset_id = $dataset
    AND probe.readout <> 'tokens'
ORDER BY layer.depth, probe.readout
