-- Grain: one row per model, dataset, locus, readout and probe kind.
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    f.model_id,
    m.name AS model_name,
    m.variant,
    f.dataset_id,
    d.title AS dataset_title,
    f.depth,
    f.module,
    o.module_order,
    f.layer,
    f.layer_kind,
    f.on_path,
    f.readout,
    f.kind AS probe_kind,
    f.n_seeds,
    f.n_test,
    f.val_accuracy,
    f.test_accuracy,
    f.chance,
    f.signal,
    f.wilson_lower,
    f.wilson_upper,
    f.control_accuracy,
    f.selectivity,
    f.change,
    n.built_on
FROM signal_flow AS f
LEFT JOIN model AS m ON f.model_id = m.model_id
LEFT JOIN module AS o ON f.model_id = o.model_id AND f.module = o.module
LEFT JOIN dataset AS d ON f.dataset_id = d.dataset_id
CROSS JOIN newest AS n
