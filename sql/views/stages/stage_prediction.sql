-- Grain: one row per (model, dataset, stage, test sample) that the stage was tried on.
--
-- What stands for a stage says of one image. A probe speaks with its lowest seed, since a single
-- image needs one class; an answer that could not be parsed names none.
WITH chosen_probes AS (
    SELECT *
    FROM stage_probe
    WHERE rank = 1 AND seed_rank = 1
),

test_logits AS (
    SELECT *
    FROM probe_logit
    WHERE split = 'test'
),

test_samples AS (
    SELECT *
    FROM sample
    WHERE split = 'test'
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
        stage_signal.model_id,
        stage_signal.dataset_id,
        stage_signal.stage,
        answer.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM stage_signal
    INNER JOIN diagnosed_answer AS answer
        ON
            stage_signal.model_id = answer.model_id
            AND stage_signal.dataset_id = answer.dataset_id
            AND stage_signal.readout = answer.method
    WHERE stage_signal.module = 'answer'
)

SELECT
    predictions.model_id,
    predictions.dataset_id,
    predictions.stage,
    predictions.sample_id,
    test_samples.class_index,
    predictions.predicted_class_index
FROM predictions
INNER JOIN test_samples
    ON
        predictions.dataset_id = test_samples.dataset_id
        AND predictions.sample_id = test_samples.sample_id
