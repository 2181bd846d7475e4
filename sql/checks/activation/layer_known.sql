-- Every vector belongs to a layer of its model.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    n_rows AS n_vectors
FROM checked_locus
WHERE width IS NULL
