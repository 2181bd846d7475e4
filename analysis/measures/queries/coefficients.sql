-- Where coefficients of linear probes are stored, with the run that did it.
SELECT DISTINCT
    p.module,
    p.layer,
    p.readout,
    r.config
FROM probe_coefficient AS c
INNER JOIN probe AS p ON c.probe_id = p.probe_id
INNER JOIN run AS r ON c.run_id = r.run_id
WHERE p.model_id = $model AND p.dataset_id = $dataset
