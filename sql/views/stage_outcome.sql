-- Grain: one row per (model, dataset, test sample) that at least one stage was tried on.
--
-- Which stages still knew the class of one image: is the candidate that stands for the stage right?
-- A probe speaks with its lowest seed, since a single image needs a yes or a no.
WITH stage_signals AS (
    SELECT *
    FROM stage_signal
),

probes AS (
    SELECT *
    FROM probe
    WHERE control = 'none'
),

test_logits AS (
    SELECT *
    FROM probe_logit
    WHERE split = 'test'
),

answers AS (
    SELECT *
    FROM answer
),

test_samples AS (
    SELECT *
    FROM sample
    WHERE split = 'test'
),

chosen_probes AS (
    SELECT
        stage_signals.model_id,
        stage_signals.dataset_id,
        stage_signals.stage,
        probes.probe_id
    FROM stage_signals
    INNER JOIN probes
        ON
            stage_signals.model_id = probes.model_id
            AND stage_signals.dataset_id = probes.dataset_id
            AND stage_signals.module = probes.module
            AND stage_signals.layer = probes.layer
            AND stage_signals.readout = probes.readout
            AND stage_signals.kind = probes.kind
    QUALIFY row_number() OVER (
        PARTITION BY stage_signals.model_id, stage_signals.dataset_id, stage_signals.stage
        ORDER BY probes.seed ASC, probes.probe_id ASC
    ) = 1
),

predictions AS (
    SELECT
        chosen_probes.model_id,
        chosen_probes.dataset_id,
        chosen_probes.stage,
        test_logits.sample_id,
        test_logits.predicted_class_index
    FROM chosen_probes
    INNER JOIN test_logits ON chosen_probes.probe_id = test_logits.probe_id
    UNION ALL
    SELECT
        stage_signals.model_id,
        stage_signals.dataset_id,
        stage_signals.stage,
        answers.sample_id,
        CASE WHEN answers.parsed THEN answers.predicted_class_index END AS predicted_class_index
    FROM stage_signals
    INNER JOIN answers
        ON
            stage_signals.model_id = answers.model_id
            AND stage_signals.dataset_id = answers.dataset_id
            AND stage_signals.readout = answers.method
    WHERE stage_signals.module = 'answer'
),

outcomes AS (
    SELECT
        predictions.model_id,
        predictions.dataset_id,
        predictions.sample_id,
        predictions.stage,
        -- An answer that could not be parsed names no class, and so not the right one.
        coalesce(predictions.predicted_class_index = test_samples.class_index, FALSE) AS knows
    FROM predictions
    INNER JOIN test_samples
        ON
            predictions.dataset_id = test_samples.dataset_id
            AND predictions.sample_id = test_samples.sample_id
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    bool_or(knows) FILTER (WHERE stage = 'vision') AS vision_knows,
    bool_or(knows) FILTER (WHERE stage = 'connector') AS connector_knows,
    bool_or(knows) FILTER (WHERE stage = 'llm') AS llm_knows,
    bool_or(knows) FILTER (WHERE stage = 'answer') AS answer_knows
FROM outcomes
GROUP BY model_id, dataset_id, sample_id
