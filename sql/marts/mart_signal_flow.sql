-- Grain: one row per model, dataset, locus, readout and probe kind.
SELECT
    signal_flow.model_id,
    examination.model_name,
    examination.variant,
    signal_flow.dataset_id,
    examination.dataset_title,
    signal_flow.depth,
    signal_flow.module,
    module.module_order,
    signal_flow.layer,
    signal_flow.layer_kind,
    signal_flow.on_path,
    signal_flow.readout,
    signal_flow.kind AS probe_kind,
    signal_flow.n_seeds,
    signal_flow.n_test,
    signal_flow.score,
    signal_flow.val_accuracy,
    signal_flow.test_accuracy,
    signal_flow.chance,
    signal_flow.signal,
    signal_flow.wilson_lower,
    signal_flow.wilson_upper,
    signal_flow.control_accuracy,
    signal_flow.above_shuffled,
    signal_flow.selectivity,
    signal_flow.control_task_accuracy,
    signal_flow.above_control_task,
    signal_flow.change,
    examination.built_on
FROM signal_flow
LEFT JOIN module ON signal_flow.model_id = module.model_id AND signal_flow.module = module.module
LEFT JOIN examination
    ON
        signal_flow.model_id = examination.model_id
        AND signal_flow.dataset_id = examination.dataset_id
