-- Per module the last place whose attentive probe can be drawn from, and its numbers: one reader, or
-- one per fold.
SELECT
    scored_probe.module,
    scored_probe.layer,
    scored_probe.hyperparameters -> 'chosen' AS chosen
FROM scored_probe
INNER JOIN layer
    ON
        scored_probe.model_id = layer.model_id
        AND scored_probe.module = layer.module
        AND scored_probe.layer = layer.layer
WHERE
    scored_probe.model_id = $model
    AND scored_probe.dataset_id = $dataset
    AND scored_probe.kind = 'attentive'
    AND scored_probe.control = 'none'
    AND scored_probe.seed = 0
    AND layer.on_path
    AND coalesce(
        scored_probe.hyperparameters -> '$.chosen.reader',
        scored_probe.hyperparameters -> '$.chosen.folds[0].reader'
    ) IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY scored_probe.module ORDER BY scored_probe.layer DESC) = 1
ORDER BY layer.depth
