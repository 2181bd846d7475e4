-- Grain: one row per model and dataset, ranked within a dataset by what it answers, by how much of
-- the signal it retains, and by its health; a model that lacks a number, or has it of other test
-- samples than the largest set that models were probed on, has no rank by it.
--
-- overall_health is the mean of the four health scores of the paper's profile.
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
        max(chance) AS chance,
        any_value(score) AS score
    FROM stage_signal
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

scores AS (
    SELECT
        stage_columns.model_id,
        stage_columns.dataset_id,
        retained_signal.retained_signal,
        retained_signal.random_floor,
        retained_signal.random_accuracy,
        retained_signal.reference_accuracy,
        retained_signal.reference_source,
        retained_signal.total_loss,
        health_columns.vision_health,
        health_columns.connector_health,
        health_columns.llm_comprehension_health,
        health_columns.llm_utilisation_health,
        (
            health_columns.vision_health + health_columns.connector_health
            + health_columns.llm_comprehension_health + health_columns.llm_utilisation_health
        ) / 4 AS overall_health,
        -- Probes that were tested on other samples than the largest set of them have no rank, nor
        -- has what an answer to fewer stands in.
        coalesce(
            probed_samples.is_compared AND retained_signal.n_test = probed_samples.n_test, FALSE
        ) AS is_ranked
    FROM stage_columns
    INNER JOIN retained_signal
        ON
            stage_columns.model_id = retained_signal.model_id
            AND stage_columns.dataset_id = retained_signal.dataset_id
    LEFT JOIN probed_samples
        ON
            stage_columns.model_id = probed_samples.model_id
            AND stage_columns.dataset_id = probed_samples.dataset_id
    LEFT JOIN health_columns
        ON
            stage_columns.model_id = health_columns.model_id
            AND stage_columns.dataset_id = health_columns.dataset_id
)

SELECT
    stage_columns.model_id,
    examination.model_name,
    examination.variant,
    stage_columns.dataset_id,
    examination.dataset_title,
    answer_ranking.answer_rank AS leaderboard_rank,
    answer_ranking.rank_note,
    CASE
        WHEN scores.is_ranked AND scores.retained_signal IS NOT NULL
            THEN rank() OVER (
                PARTITION BY stage_columns.dataset_id, scores.is_ranked
                ORDER BY scores.retained_signal DESC NULLS LAST
            )
    END AS signal_rank,
    CASE
        WHEN scores.is_ranked AND scores.overall_health IS NOT NULL
            THEN rank() OVER (
                PARTITION BY stage_columns.dataset_id, scores.is_ranked
                ORDER BY scores.overall_health DESC NULLS LAST
            )
    END AS health_rank,
    stage_columns.answer_method,
    answer_ranking.prompt_id,
    stage_columns.score,
    stage_columns.answer_accuracy,
    answers.score_lower AS answer_lower,
    answers.score_upper AS answer_upper,
    answers.balanced_accuracy,
    answers.macro_f1,
    answer_auroc.auroc AS answer_auroc,
    answers.chance,
    answers.signal AS answer_signal,
    answers.unparsed_share,
    answers.truncated_share,
    method_agreement.agreement AS method_agreement,
    draw_agreement.agreement AS draw_agreement,
    answers.n AS n_test,
    answer_ranking.n_samples,
    scores.reference_accuracy,
    scores.reference_source,
    stage_columns.vision_accuracy,
    stage_columns.connector_accuracy,
    stage_columns.llm_accuracy,
    scores.total_loss,
    loss_interval.lower AS total_loss_lower,
    loss_interval.upper AS total_loss_upper,
    baseline_candidate.architecture AS best_baseline,
    baseline_candidate.test_accuracy AS baseline_accuracy,
    scores.retained_signal,
    scores.random_floor,
    -- What is untrained itself has no floor.
    CASE WHEN NOT caveat.is_untrained THEN scores.random_accuracy END AS random_accuracy,
    caveat.is_untrained,
    caveat.is_fitted_otherwise,
    caveat.n_left_out,
    verdicts.verdict,
    verdicts.reason,
    scores.vision_health,
    scores.connector_health,
    scores.llm_comprehension_health,
    scores.llm_utilisation_health,
    scores.overall_health,
    examination.n_parameters,
    examination.built_on
FROM stage_columns
LEFT JOIN answers
    ON
        stage_columns.model_id = answers.model_id
        AND stage_columns.dataset_id = answers.dataset_id
        AND stage_columns.answer_method = answers.method
LEFT JOIN answer_auroc
    ON
        stage_columns.model_id = answer_auroc.model_id
        AND stage_columns.dataset_id = answer_auroc.dataset_id
        AND answer_auroc.split = 'test'
LEFT JOIN answer_ranking
    ON
        stage_columns.model_id = answer_ranking.model_id
        AND stage_columns.dataset_id = answer_ranking.dataset_id
LEFT JOIN method_agreement
    ON
        stage_columns.model_id = method_agreement.model_id
        AND stage_columns.dataset_id = method_agreement.dataset_id
        AND answer_ranking.prompt_id = method_agreement.prompt_id
LEFT JOIN draw_agreement
    ON
        stage_columns.model_id = draw_agreement.model_id
        AND stage_columns.dataset_id = draw_agreement.dataset_id
        AND stage_columns.answer_method = draw_agreement.method
        AND answer_ranking.prompt_id = draw_agreement.prompt_id
        AND draw_agreement.option_order = 'given'
LEFT JOIN verdicts
    ON stage_columns.model_id = verdicts.model_id AND stage_columns.dataset_id = verdicts.dataset_id
LEFT JOIN scores
    ON stage_columns.model_id = scores.model_id AND stage_columns.dataset_id = scores.dataset_id
LEFT JOIN loss_interval
    ON
        stage_columns.model_id = loss_interval.model_id
        AND stage_columns.dataset_id = loss_interval.dataset_id
        AND loss_interval.stage = 'total'
LEFT JOIN baseline_candidate
    ON
        stage_columns.dataset_id = baseline_candidate.dataset_id
        AND baseline_candidate.rank = 1
LEFT JOIN caveat
    ON stage_columns.model_id = caveat.model_id AND stage_columns.dataset_id = caveat.dataset_id
LEFT JOIN examination
    ON
        stage_columns.model_id = examination.model_id
        AND stage_columns.dataset_id = examination.dataset_id
