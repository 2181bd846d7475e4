-- Grain: one row per pair of models, dataset, stage and quantity that both have of as many test
-- samples: the difference is of today's numbers. An interval that was made for others is left away;
-- what probes for different scores read has no difference.
WITH wanted AS (
    SELECT
        model_id,
        base_model_id,
        pair_kind
    FROM model_pair
    UNION ALL
    SELECT DISTINCT
        pair_interval.model_id,
        pair_interval.base_model_id,
        'chosen' AS pair_kind
    FROM pair_interval
    ANTI JOIN model_pair
        ON
            pair_interval.model_id = model_pair.model_id
            AND pair_interval.base_model_id = model_pair.base_model_id
),

losses AS (
    SELECT
        stage_loss.*,
        stage_signal.n_test,
        lag(stage_signal.n_test) OVER (
            PARTITION BY stage_loss.model_id, stage_loss.dataset_id
            ORDER BY stage_loss.stage_order
        ) AS n_before
    FROM stage_loss
    INNER JOIN stage_signal
        ON
            stage_loss.model_id = stage_signal.model_id
            AND stage_loss.dataset_id = stage_signal.dataset_id
            AND stage_loss.stage = stage_signal.stage
    WHERE stage_loss.loss IS NOT NULL
),

numbers AS (
    SELECT
        stage_signal.model_id,
        stage_signal.dataset_id,
        stage_signal.stage,
        named.quantity,
        stage_signal.score,
        stage_signal.available_accuracy AS value,
        stage_signal.n_test,
        stage_signal.stage <> 'answer' AS is_probed
    FROM stage_signal
    -- `signal` is the name that accuracies had, kept for one version.
    CROSS JOIN (VALUES ('accuracy'), ('signal')) AS named (quantity)
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        stage,
        'loss' AS quantity,
        score,
        loss AS value,
        n_test,
        TRUE AS is_probed
    FROM losses
    WHERE n_test = coalesce(n_before, n_test)
    UNION ALL
    SELECT
        answer_auroc.model_id,
        answer_auroc.dataset_id,
        'answer' AS stage,
        'auroc' AS quantity,
        stage_signal.score,
        answer_auroc.auroc AS value,
        answer_auroc.n AS n_test,
        FALSE AS is_probed
    FROM answer_auroc
    INNER JOIN stage_signal
        ON
            answer_auroc.model_id = stage_signal.model_id
            AND answer_auroc.dataset_id = stage_signal.dataset_id
            AND stage_signal.stage = 'answer'
    WHERE answer_auroc.split = 'test'
    UNION ALL
    SELECT
        feature_health.model_id,
        feature_health.dataset_id,
        feature_health.module AS stage,
        concat('health_', feature_health.track) AS quantity,
        feature_health.score,
        feature_health.health_score AS value,
        probed_samples.n_test,
        TRUE AS is_probed
    FROM feature_health
    INNER JOIN probed_samples
        ON
            feature_health.model_id = probed_samples.model_id
            AND feature_health.dataset_id = probed_samples.dataset_id
    WHERE feature_health.health_score IS NOT NULL
),

fitted AS (
    SELECT
        numbers.*,
        CASE WHEN numbers.is_probed THEN probe_fit.fitted_score END AS fitted_score
    FROM numbers
    LEFT JOIN probe_fit
        ON
            numbers.model_id = probe_fit.model_id
            AND numbers.dataset_id = probe_fit.dataset_id
),

intervals AS (
    SELECT
        pair_interval.* EXCLUDE (quantity),
        if(pair_interval.quantity = 'signal', 'accuracy', pair_interval.quantity) AS quantity
    FROM pair_interval
    -- Lakes of older versions call an accuracy `signal` only.
    QUALIFY row_number() OVER (
        PARTITION BY
            pair_interval.model_id,
            pair_interval.base_model_id,
            pair_interval.dataset_id,
            pair_interval.stage,
            if(pair_interval.quantity = 'signal', 'accuracy', pair_interval.quantity)
        ORDER BY pair_interval.quantity = 'accuracy' DESC
    ) = 1
),

compared AS (
    SELECT
        wanted.model_id,
        wanted.base_model_id,
        wanted.pair_kind,
        a.dataset_id,
        a.stage,
        a.quantity,
        a.score,
        a.value,
        b.value AS base_value,
        a.fitted_score,
        b.fitted_score AS base_fitted_score,
        CASE
            WHEN coalesce(a.fitted_score = b.fitted_score, TRUE) THEN a.value - b.value
        END AS difference
    FROM wanted
    INNER JOIN fitted AS a ON wanted.model_id = a.model_id
    INNER JOIN fitted AS b
        ON
            wanted.base_model_id = b.model_id
            AND a.dataset_id = b.dataset_id
            AND a.stage = b.stage
            AND a.quantity = b.quantity
            AND a.n_test IS NOT DISTINCT FROM b.n_test
)

SELECT
    compared.model_id,
    examination.model_name,
    examination.variant,
    compared.base_model_id,
    base.variant AS base_variant,
    compared.pair_kind,
    compared.dataset_id,
    examination.dataset_title,
    compared.stage,
    stage.stage_order,
    compared.quantity,
    compared.score,
    compared.fitted_score,
    compared.base_fitted_score,
    compared.value,
    compared.base_value,
    compared.difference,
    asked.method AS answer_method,
    base_asked.method AS base_answer_method,
    asked.prompt_id,
    base_asked.prompt_id AS base_prompt_id,
    intervals.lower AS difference_lower,
    intervals.upper AS difference_upper,
    exceeds(intervals.lower, 0) OR exceeds(0, intervals.upper) AS is_different,
    intervals.n_groups,
    examination.built_on
FROM compared
LEFT JOIN intervals
    ON
        compared.model_id = intervals.model_id
        AND compared.base_model_id = intervals.base_model_id
        AND compared.dataset_id = intervals.dataset_id
        AND compared.stage = intervals.stage
        AND intervals.quantity = if(compared.quantity = 'signal', 'accuracy', compared.quantity)
        AND compared.score = intervals.score
        AND abs(compared.difference - intervals.point) <= 1e-9
LEFT JOIN diagnosed_method AS asked
    ON compared.model_id = asked.model_id AND compared.dataset_id = asked.dataset_id
LEFT JOIN diagnosed_method AS base_asked
    ON compared.base_model_id = base_asked.model_id AND compared.dataset_id = base_asked.dataset_id
LEFT JOIN model AS base ON compared.base_model_id = base.model_id
LEFT JOIN stage ON compared.stage = stage.stage
LEFT JOIN examination
    ON compared.model_id = examination.model_id AND compared.dataset_id = examination.dataset_id
