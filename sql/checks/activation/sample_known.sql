-- Every vector belongs to a sample of its dataset.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    n_unknown AS n_vectors,
    unknown_sample AS sample_id
FROM checked_locus
WHERE n_unknown > 0
