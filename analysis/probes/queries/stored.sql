-- The probes of one kind, fitted for one score, that the lake already holds for one model on one
-- dataset, oldest first.
SELECT
    p.module,
    p.layer,
    p.readout,
    p.control,
    p.seed,
    p.hyperparameters,
    p.run_id
FROM probe AS p
INNER JOIN run AS r ON p.run_id = r.run_id
WHERE
    p.model_id = $model
    AND p.dataset_id = $dataset
    AND p.kind = $kind
    AND p.score = $score
ORDER BY r.started_at, p.probe_id
