-- Grain: one row per model and dataset, ranked within a dataset by what it answers, by how much of
-- the signal it retains, and by its health; a model that lacks a number has no rank by it.
--
-- retained_signal is the share of what the task is known to allow that still reaches the last
-- prompt token: (accuracy after the llm - chance) / (reference - chance). overall_health is the
-- mean of the four health scores of the paper's profile.
WITH answers AS (
    SELECT *
    FROM answer_accuracy
    WHERE split = 'test'
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
        stage_columns.model_id,
        stage_columns.dataset_id,
        CASE
            WHEN
                probed.model_id IS NOT NULL
                AND loss_columns.reference_accuracy > stage_columns.chance
                THEN
                    (stage_columns.llm_accuracy - stage_columns.chance)
                    / (loss_columns.reference_accuracy - stage_columns.chance)
        END AS retained_signal,
        (
            health_columns.vision_health + health_columns.connector_health
            + health_columns.llm_comprehension_health + health_columns.llm_utilisation_health
        ) / 4 AS overall_health
    FROM stage_columns
    LEFT JOIN
        loss_columns
        ON
            stage_columns.model_id = loss_columns.model_id
            AND stage_columns.dataset_id = loss_columns.dataset_id
    LEFT JOIN
        health_columns
        ON
            stage_columns.model_id = health_columns.model_id
            AND stage_columns.dataset_id = health_columns.dataset_id
    LEFT JOIN
        probed
        ON stage_columns.model_id = probed.model_id AND stage_columns.dataset_id = probed.dataset_id
)

SELECT
    stage_columns.model_id,
    examination.model_name,
    examination.variant,
    stage_columns.dataset_id,
    examination.dataset_title,
    rank() OVER (
        PARTITION BY stage_columns.dataset_id
        ORDER BY stage_columns.answer_accuracy DESC NULLS LAST
    ) AS leaderboard_rank,
    CASE
        WHEN scores.retained_signal IS NOT NULL
            THEN rank() OVER (
                PARTITION BY stage_columns.dataset_id
                ORDER BY scores.retained_signal DESC NULLS LAST
            )
    END AS signal_rank,
    CASE
        WHEN scores.overall_health IS NOT NULL
            THEN rank() OVER (
                PARTITION BY stage_columns.dataset_id
                ORDER BY scores.overall_health DESC NULLS LAST
            )
    END AS health_rank,
    stage_columns.answer_method,
    stage_columns.answer_accuracy,
    answers.wilson_lower AS answer_lower,
    answers.wilson_upper AS answer_upper,
    answers.balanced_accuracy,
    answers.macro_f1,
    answers.chance,
    answers.signal AS answer_signal,
    answers.unparsed_share,
    answers.truncated_share,
    answers.n AS n_test,
    loss_columns.reference_accuracy,
    loss_columns.reference_source,
    stage_columns.vision_accuracy,
    stage_columns.connector_accuracy,
    stage_columns.llm_accuracy,
    loss_columns.total_loss,
    scores.retained_signal,
    verdicts.verdict,
    verdicts.reason,
    health_columns.vision_health,
    health_columns.connector_health,
    health_columns.llm_comprehension_health,
    health_columns.llm_utilisation_health,
    scores.overall_health,
    examination.n_parameters,
    examination.built_on
FROM stage_columns
LEFT JOIN answers
    ON
        stage_columns.model_id = answers.model_id
        AND stage_columns.dataset_id = answers.dataset_id
        AND stage_columns.answer_method = answers.method
LEFT JOIN
    loss_columns
    ON
        stage_columns.model_id = loss_columns.model_id
        AND stage_columns.dataset_id = loss_columns.dataset_id
LEFT JOIN
    verdicts
    ON stage_columns.model_id = verdicts.model_id AND stage_columns.dataset_id = verdicts.dataset_id
LEFT JOIN
    health_columns
    ON
        stage_columns.model_id = health_columns.model_id
        AND stage_columns.dataset_id = health_columns.dataset_id
LEFT JOIN
    scores
    ON stage_columns.model_id = scores.model_id AND stage_columns.dataset_id = scores.dataset_id
LEFT JOIN examination
    ON
        stage_columns.model_id = examination.model_id
        AND stage_columns.dataset_id = examination.dataset_id
