-- Grain: one row per model and dataset that probes or answers are stored of: what both are called.
-- Marts take their names from here.
WITH examined AS (
    SELECT
        model_id,
        dataset_id
    FROM probe
    UNION
    SELECT
        model_id,
        dataset_id
    FROM diagnosed_answer
),

newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    examined.model_id,
    model.name AS model_name,
    model.variant,
    examined.dataset_id,
    dataset.title AS dataset_title,
    model.n_parameters,
    newest.built_on
FROM examined
LEFT JOIN model ON examined.model_id = model.model_id
LEFT JOIN dataset ON examined.dataset_id = dataset.dataset_id
CROSS JOIN newest
