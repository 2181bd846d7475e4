-- Grain: one row per model, dataset, module and track, with the bootstrap's interval and the answer
-- the profile ends in.
WITH answers AS (
    SELECT *
    FROM stage_signal
    WHERE stage = 'answer'
),

newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    h.model_id,
    m.name AS model_name,
    m.variant,
    h.dataset_id,
    d.title AS dataset_title,
    h.module,
    o.module_order,
    h.track,
    h.n_loci,
    h.p_start,
    h.p_min,
    h.p_end,
    h.gain_factor,
    h.variation_penalty,
    h.health_score,
    i.lower AS health_lower,
    i.upper AS health_upper,
    a.test_accuracy AS answer_accuracy,
    n.built_on
FROM feature_health AS h
LEFT JOIN health_interval AS i
    ON
        h.model_id = i.model_id
        AND h.dataset_id = i.dataset_id
        AND h.module = i.module
        AND h.track = i.track
LEFT JOIN answers AS a ON h.model_id = a.model_id AND h.dataset_id = a.dataset_id
LEFT JOIN model AS m ON h.model_id = m.model_id
LEFT JOIN module AS o ON h.model_id = o.model_id AND h.module = o.module
LEFT JOIN dataset AS d ON h.dataset_id = d.dataset_id
CROSS JOIN newest AS n
