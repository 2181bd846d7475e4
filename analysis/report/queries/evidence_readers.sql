-- Per module the last place whose attentive probe can be drawn from, and its numbers: one reader, or
-- one per fold.
SELECT
    probe.module,
    probe.layer,
    probe.hyperparameters -> 'chosen' AS chosen
FROM probe
INNER JOIN layer
    ON
        probe.model_id = layer.model_id
        AND probe.module = layer.module
        AND probe.layer = layer.layer
WHERE
    probe.model_id = $model
    AND probe.dataset_id = $dataset
    AND probe.kind = 'attentive'
    AND probe.control = 'none'
    AND probe.seed = 0
    AND layer.on_path
    AND coalesce(
        probe.hyperparameters -> '$.chosen.reader',
        probe.hyperparameters -> '$.chosen.folds[0].reader'
    ) IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY probe.module ORDER BY probe.layer DESC) = 1
ORDER BY layer.depth
