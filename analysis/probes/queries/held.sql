-- The ids of the samples that one locus and readout holds.
SELECT sample_id
FROM activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
    AND readout = $readout
