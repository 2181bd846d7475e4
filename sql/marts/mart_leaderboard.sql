-- Grain: one row per model and dataset, ranked within a dataset by what it answers, by how much of
-- the signal it retains, and by its health; a model that lacks a number has no rank by it.
--
-- retained_signal is the share of what the task is known to allow that still reaches the last
-- prompt token: (signal after the llm - chance) / (reference - chance). overall_health is the mean
-- of the four health scores of the paper's profile.
WITH answers AS (
    SELECT *
    FROM answer_accuracy
    WHERE split = 'test'
),

newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
),

stage_columns AS (
    SELECT
        model_id,
        dataset_id,
        max(available_accuracy) FILTER (WHERE stage = 'vision') AS vision_accuracy,
        max(available_accuracy) FILTER (WHERE stage = 'connector') AS connector_accuracy,
        max(available_accuracy) FILTER (WHERE stage = 'llm') AS llm_accuracy,
        max(test_accuracy) FILTER (WHERE stage = 'answer') AS answer_accuracy,
        max(readout) FILTER (WHERE stage = 'answer') AS answer_method,
        max(chance) AS chance
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

loss_columns AS (
    SELECT
        model_id,
        dataset_id,
        -- A sum skips what is missing, and three losses are not the whole.
        CASE WHEN count(loss) = count(*) THEN sum(loss) END AS total_loss,
        max(reference_source) AS reference_source,
        max(before) FILTER (WHERE failure_mode = 'vision_quality') AS reference_accuracy
    FROM stage_loss
    GROUP BY model_id, dataset_id
),

verdicts AS (
    SELECT
        model_id,
        dataset_id,
        max(verdict) AS verdict,
        max(reason) AS reason
    FROM failure_mode
    GROUP BY model_id, dataset_id
),

health_columns AS (
    SELECT
        model_id,
        dataset_id,
        max(health_score) FILTER (WHERE module = 'vision' AND track = 'mean') AS vision_health,
        max(health_score) FILTER (WHERE module = 'connector' AND track = 'mean')
            AS connector_health,
        max(health_score) FILTER (WHERE module = 'llm' AND track = 'mean')
            AS llm_comprehension_health,
        max(health_score) FILTER (WHERE module = 'llm' AND track = 'last') AS llm_utilisation_health
    FROM feature_health
    GROUP BY model_id, dataset_id
),

-- The answer alone stands for every stage where there is no probe, and would retain everything.
probed AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_candidate
    WHERE stage = 'llm' AND module = 'llm'
),

scores AS (
    SELECT
        s.model_id,
        s.dataset_id,
        CASE
            WHEN p.model_id IS NOT NULL AND l.reference_accuracy > s.chance
                THEN (s.llm_accuracy - s.chance) / (l.reference_accuracy - s.chance)
        END AS retained_signal,
        (
            h.vision_health + h.connector_health
            + h.llm_comprehension_health + h.llm_utilisation_health
        ) / 4 AS overall_health
    FROM stage_columns AS s
    LEFT JOIN loss_columns AS l ON s.model_id = l.model_id AND s.dataset_id = l.dataset_id
    LEFT JOIN health_columns AS h ON s.model_id = h.model_id AND s.dataset_id = h.dataset_id
    LEFT JOIN probed AS p ON s.model_id = p.model_id AND s.dataset_id = p.dataset_id
)

SELECT
    s.model_id,
    m.name AS model_name,
    m.variant,
    s.dataset_id,
    d.title AS dataset_title,
    rank() OVER (
        PARTITION BY s.dataset_id
        ORDER BY s.answer_accuracy DESC NULLS LAST
    ) AS leaderboard_rank,
    CASE
        WHEN c.retained_signal IS NOT NULL
            THEN rank() OVER (
                PARTITION BY s.dataset_id
                ORDER BY c.retained_signal DESC NULLS LAST
            )
    END AS signal_rank,
    CASE
        WHEN c.overall_health IS NOT NULL
            THEN rank() OVER (
                PARTITION BY s.dataset_id
                ORDER BY c.overall_health DESC NULLS LAST
            )
    END AS health_rank,
    s.answer_method,
    s.answer_accuracy,
    a.wilson_lower AS answer_lower,
    a.wilson_upper AS answer_upper,
    a.balanced_accuracy,
    a.macro_f1,
    a.chance,
    a.signal AS answer_signal,
    a.unparsed_share,
    a.n AS n_test,
    l.reference_accuracy,
    l.reference_source,
    s.vision_accuracy,
    s.connector_accuracy,
    s.llm_accuracy,
    l.total_loss,
    c.retained_signal,
    v.verdict,
    v.reason,
    h.vision_health,
    h.connector_health,
    h.llm_comprehension_health,
    h.llm_utilisation_health,
    c.overall_health,
    m.n_parameters,
    n.built_on
FROM stage_columns AS s
LEFT JOIN answers AS a
    ON
        s.model_id = a.model_id
        AND s.dataset_id = a.dataset_id
        AND s.answer_method = a.method
LEFT JOIN loss_columns AS l ON s.model_id = l.model_id AND s.dataset_id = l.dataset_id
LEFT JOIN verdicts AS v ON s.model_id = v.model_id AND s.dataset_id = v.dataset_id
LEFT JOIN health_columns AS h ON s.model_id = h.model_id AND s.dataset_id = h.dataset_id
LEFT JOIN scores AS c ON s.model_id = c.model_id AND s.dataset_id = c.dataset_id
LEFT JOIN model AS m ON s.model_id = m.model_id
LEFT JOIN dataset AS d ON s.dataset_id = d.dataset_id
CROSS JOIN newest AS n
