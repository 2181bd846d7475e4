-- Grain: one row per (model, dataset) of which a stage was looked at: what reaches the last prompt
-- token of what the task is known to allow.
--
-- retained_signal is (accuracy after the llm - chance) / (reference - chance), NULL without a probe
-- there: the answer alone stands for every stage, and would retain everything. The floor is what
-- the same model retains with random weights, the best of its seeds: a share that any network of
-- that shape passes on. random_accuracy is likewise what can still be read after the vision tower of
-- an untrained twin that was probed on as many test samples, beside vision_accuracy, the model's own.
-- Both are of twins whose probes are fitted for the same score as the model's.
WITH stages AS (
    SELECT
        model_id,
        dataset_id,
        max(available_accuracy) FILTER (WHERE stage = 'vision') AS vision_accuracy,
        max(available_accuracy) FILTER (WHERE stage = 'llm') AS llm_accuracy,
        max(chance) AS chance,
        any_value(score) AS score,
        min(n_test) AS n_test
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

losses AS (
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

probed AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_candidate
    WHERE stage = 'llm' AND module = 'llm'
),

retained AS (
    SELECT
        stages.model_id,
        stages.dataset_id,
        model.name,
        probe_fit.fitted_score,
        starts_with(model.variant, 'random:') AS is_random,
        probed.model_id IS NOT NULL AS is_probed,
        stages.n_test,
        stages.score,
        stages.vision_accuracy,
        losses.reference_accuracy,
        losses.reference_source,
        losses.total_loss,
        CASE
            WHEN probed.model_id IS NOT NULL AND losses.reference_accuracy > stages.chance
                THEN
                    (stages.llm_accuracy - stages.chance)
                    / (losses.reference_accuracy - stages.chance)
        END AS retained_signal
    FROM stages
    INNER JOIN losses
        ON stages.model_id = losses.model_id AND stages.dataset_id = losses.dataset_id
    LEFT JOIN probed
        ON stages.model_id = probed.model_id AND stages.dataset_id = probed.dataset_id
    LEFT JOIN model ON stages.model_id = model.model_id
    LEFT JOIN probe_fit
        ON stages.model_id = probe_fit.model_id AND stages.dataset_id = probe_fit.dataset_id
)

SELECT
    model_id,
    dataset_id,
    n_test,
    score,
    reference_accuracy,
    reference_source,
    total_loss,
    retained_signal,
    max(retained_signal) FILTER (WHERE is_random) OVER (
        PARTITION BY name, dataset_id, fitted_score
    ) AS random_floor,
    vision_accuracy,
    max(vision_accuracy) FILTER (WHERE is_random AND is_probed) OVER (
        PARTITION BY name, dataset_id, n_test, fitted_score
    ) AS random_accuracy
FROM retained
