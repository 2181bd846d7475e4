-- No vector lacks a value or holds NaN or Inf.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    sample_id,
    n_not_finite AS n_vectors
FROM token_part
WHERE n_not_finite > 0
