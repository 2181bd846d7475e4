-- A Wilson interval holds the accuracy it belongs to.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    probe_kind,
    wilson_lower,
    test_accuracy,
    wilson_upper
FROM mart_signal_flow
WHERE test_accuracy NOT BETWEEN wilson_lower - 1e-9 AND wilson_upper + 1e-9
