-- Where rows of `target_probe` are stored, with the run that did it.
SELECT DISTINCT
    t.module,
    t.layer,
    t.readout,
    r.config
FROM target_probe AS t
INNER JOIN run AS r ON t.run_id = r.run_id
WHERE t.model_id = $model AND t.dataset_id = $dataset
