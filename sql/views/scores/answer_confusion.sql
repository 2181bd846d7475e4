-- Grain: one row per (model, dataset, comparison, row class, column class) that occurs on test.
--
-- Three matrices over the test samples that both sides were tried on: label_probe sets the label
-- (rows) against the last probe, label_answer against the answer, and probe_answer the last probe
-- (rows) against the answer, which shows what the model knows and does not say. The last probe is
-- the best on val at the final prompt token of the last layer, with its lowest seed; the answer is
-- the one that stands for the stage. An answer that names no class has no column class.
WITH last_probes AS (
    SELECT *
    FROM stage_probe
    WHERE stage = 'llm' AND seed_rank = 1
    QUALIFY row_number() OVER (PARTITION BY model_id, dataset_id ORDER BY rank) = 1
),

test_logits AS (
    SELECT *
    FROM probe_logit
    WHERE split = 'test'
),

answers AS (
    SELECT *
    FROM stage_prediction
    WHERE stage = 'answer'
),

test_samples AS (
    SELECT *
    FROM sample
    WHERE split = 'test'
),

last_predictions AS (
    SELECT
        last_probes.model_id,
        last_probes.dataset_id,
        test_logits.sample_id,
        test_samples.class_index,
        test_logits.predicted_class_index
    FROM last_probes
    INNER JOIN test_logits ON last_probes.probe_id = test_logits.probe_id
    INNER JOIN test_samples
        ON
            last_probes.dataset_id = test_samples.dataset_id
            AND test_logits.sample_id = test_samples.sample_id
),

compared AS (
    SELECT
        model_id,
        dataset_id,
        'label_probe' AS comparison,
        class_index AS row_class_index,
        predicted_class_index AS column_class_index
    FROM last_predictions
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        'label_answer' AS comparison,
        class_index AS row_class_index,
        predicted_class_index AS column_class_index
    FROM answers
    UNION ALL
    SELECT
        answers.model_id,
        answers.dataset_id,
        'probe_answer' AS comparison,
        last_predictions.predicted_class_index AS row_class_index,
        answers.predicted_class_index AS column_class_index
    FROM answers
    INNER JOIN last_predictions
        ON
            answers.model_id = last_predictions.model_id
            AND answers.dataset_id = last_predictions.dataset_id
            AND answers.sample_id = last_predictions.sample_id
)

SELECT
    model_id,
    dataset_id,
    comparison,
    row_class_index,
    column_class_index,
    count(*) AS n
FROM compared
GROUP BY model_id, dataset_id, comparison, row_class_index, column_class_index
