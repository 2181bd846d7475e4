-- The vectors of one locus and readout, in no particular order: the reader puts them in place.
SELECT
    sample_id,
    vector
FROM activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
    AND readout = $readout
