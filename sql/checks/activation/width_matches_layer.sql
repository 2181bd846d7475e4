-- Every vector is as wide as its layer, a grid readout four times as wide.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    width,
    min_values AS narrowest,
    max_values AS widest
FROM checked_locus
WHERE min_values <> width OR max_values <> width
