-- No sample has two vectors at one locus and readout.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    n_rows,
    n_samples
FROM checked_locus
WHERE n_rows > n_samples
