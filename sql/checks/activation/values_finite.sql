-- No vector lacks a value or holds NaN or Inf.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    n_not_finite AS n_vectors,
    not_finite_sample AS sample_id
FROM checked_locus
WHERE n_not_finite > 0
