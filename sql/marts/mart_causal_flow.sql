-- Grain: one row per model, dataset, locus, patched tokens and control of patches between images.
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    causal_flow.model_id,
    model.name AS model_name,
    model.variant,
    causal_flow.dataset_id,
    dataset.title AS dataset_title,
    causal_flow.depth,
    causal_flow.module,
    module.module_order,
    causal_flow.layer,
    causal_flow.tokens,
    causal_flow.control,
    causal_flow.n,
    causal_flow.turned_share,
    causal_flow.lower AS turned_lower,
    causal_flow.upper AS turned_upper,
    causal_flow.unpatched_share,
    causal_flow.control_share,
    causal_flow.control_n,
    causal_flow.kept_share,
    causal_flow.agree_share,
    causal_flow.own_accuracy,
    causal_flow.donor_accuracy,
    causal_flow.target_shift,
    causal_flow.label_shift,
    newest.built_on
FROM causal_flow
LEFT JOIN module ON causal_flow.model_id = module.model_id AND causal_flow.module = module.module
LEFT JOIN model ON causal_flow.model_id = model.model_id
LEFT JOIN dataset ON causal_flow.dataset_id = dataset.dataset_id
CROSS JOIN newest
