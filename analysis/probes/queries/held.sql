-- The ids of the samples that one locus and readout holds and that may be scored.
SELECT sample_id
FROM activation
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND module = $module
    AND layer = $layer
    AND readout = $readout
    AND sample_id NOT IN (SELECT unnest($seen))
