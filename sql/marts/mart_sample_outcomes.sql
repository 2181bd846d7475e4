-- Grain: one row per model, dataset and test sample: which stages still knew its class.
--
-- lost_at names the stage right after the last one that knew the class; NULL where the answer is
-- right, or where an answer or a probe is missing.
WITH answer_methods AS (
    SELECT *
    FROM stage_signal
    WHERE stage = 'answer'
),

newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    u.model_id,
    m.name AS model_name,
    m.variant,
    u.dataset_id,
    d.title AS dataset_title,
    u.sample_id,
    s.group_id,
    s.uri,
    s.class_index,
    c.label,
    r.method AS answer_method,
    r.predicted_class_index,
    p.label AS predicted_label,
    r.text AS answer_text,
    r.parsed AS answer_parsed,
    u.vision_knows,
    u.connector_knows,
    u.llm_knows,
    u.answer_knows,
    CASE
        WHEN
            u.answer_knows
            OR u.answer_knows IS NULL
            OR u.llm_knows IS NULL
            OR u.connector_knows IS NULL
            OR u.vision_knows IS NULL
            THEN NULL
        WHEN u.llm_knows THEN 'answer'
        WHEN u.connector_knows THEN 'llm'
        WHEN u.vision_knows THEN 'connector'
        ELSE 'vision'
    END AS lost_at,
    n.built_on
FROM stage_outcome AS u
LEFT JOIN answer_methods AS a ON u.model_id = a.model_id AND u.dataset_id = a.dataset_id
LEFT JOIN answer AS r
    ON
        u.model_id = r.model_id
        AND u.dataset_id = r.dataset_id
        AND u.sample_id = r.sample_id
        AND a.readout = r.method
LEFT JOIN sample AS s ON u.dataset_id = s.dataset_id AND u.sample_id = s.sample_id
LEFT JOIN class AS c ON s.dataset_id = c.dataset_id AND s.class_index = c.class_index
LEFT JOIN class AS p
    ON u.dataset_id = p.dataset_id AND r.predicted_class_index = p.class_index
LEFT JOIN model AS m ON u.model_id = m.model_id
LEFT JOIN dataset AS d ON u.dataset_id = d.dataset_id
CROSS JOIN newest AS n
