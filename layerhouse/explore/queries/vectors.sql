-- Grain: one row per sample whose vector is held at one locus by one readout.
SELECT
    sample_id,
    label,
    split,
    vector
FROM activations($model, $dataset, $module, $layer, $readout)
ORDER BY sample_id
