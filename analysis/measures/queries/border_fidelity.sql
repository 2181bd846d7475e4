-- Where rows of `border_fidelity` are stored, with the run that did it.
SELECT DISTINCT
    t.readout,
    r.config
FROM border_fidelity AS t
INNER JOIN run AS r ON t.run_id = r.run_id
WHERE t.model_id = $model AND t.dataset_id = $dataset
