-- Grain: one row per model, dataset, module and track, with the bootstrap's interval and the answer
-- the profile ends in. An interval that was made for another score than today's is left away.
WITH answers AS (
    SELECT *
    FROM stage_signal
    WHERE stage = 'answer'
)

SELECT
    feature_health.model_id,
    examination.model_name,
    examination.variant,
    feature_health.dataset_id,
    examination.dataset_title,
    feature_health.module,
    module.module_order,
    feature_health.track,
    feature_health.n_loci,
    feature_health.score,
    feature_health.p_start,
    feature_health.p_min,
    feature_health.p_end,
    feature_health.gain_factor,
    feature_health.variation_penalty,
    feature_health.health_score,
    health_interval.lower AS health_lower,
    health_interval.upper AS health_upper,
    answers.test_accuracy AS answer_accuracy,
    examination.built_on
FROM feature_health
LEFT JOIN health_interval
    ON
        feature_health.model_id = health_interval.model_id
        AND feature_health.dataset_id = health_interval.dataset_id
        AND feature_health.module = health_interval.module
        AND feature_health.track = health_interval.track
        AND feature_health.score = health_interval.score
        AND abs(feature_health.health_score - health_interval.point) <= 1e-9
LEFT JOIN
    answers
    ON feature_health.model_id = answers.model_id AND feature_health.dataset_id = answers.dataset_id
LEFT JOIN
    module
    ON feature_health.model_id = module.model_id AND feature_health.module = module.module
LEFT JOIN examination
    ON
        feature_health.model_id = examination.model_id
        AND feature_health.dataset_id = examination.dataset_id
