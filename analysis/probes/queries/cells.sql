-- Every cell of one model on one dataset, in pipeline order: the width of its layer, how many
-- samples it holds that may be scored, and a mark that differs where the sets of samples differ.
SELECT
    a.module,
    a.layer,
    a.readout,
    l.width,
    count(*) AS n_samples,
    cast(bit_xor(hash(a.sample_id)) AS VARCHAR) AS sample_mark
FROM activation AS a
INNER JOIN layer AS l
    ON a.model_id = l.model_id AND a.module = l.module AND a.layer = l.layer
WHERE
    a.model_id = $model
    AND a.dataset_id = $dataset
    AND a.sample_id NOT IN (SELECT unnest($seen))
GROUP BY a.module, a.layer, a.readout, l.width, l.depth
ORDER BY l.depth, a.readout
