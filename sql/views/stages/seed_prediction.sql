-- Grain: one row per (model, dataset, stage, seed, test sample) that the stage was tried on.
--
-- What stands for a stage says of one image, once per seed of its probes, and under folds once per
-- repetition. An answer under a split says it once; one that could not be parsed names none.
WITH split_probes AS (
    SELECT *
    FROM stage_probe
    WHERE
        rank = 1
        AND dataset_id NOT IN (SELECT sample_fold.dataset_id FROM sample_fold)
),

predictions AS (
    SELECT
        split_probes.model_id,
        split_probes.dataset_id,
        split_probes.stage,
        split_probes.module,
        split_probes.seed_rank - 1 AS seed,
        probe_logit.sample_id,
        probe_logit.predicted_class_index
    FROM split_probes
    INNER JOIN probe_logit ON split_probes.probe_id = probe_logit.probe_id
    WHERE probe_logit.split = 'test'
    UNION ALL
    SELECT
        stage_candidate.model_id,
        stage_candidate.dataset_id,
        stage_candidate.stage,
        stage_candidate.module,
        0 AS seed,
        answer.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM stage_candidate
    INNER JOIN diagnosed_answer AS answer
        ON
            stage_candidate.model_id = answer.model_id
            AND stage_candidate.dataset_id = answer.dataset_id
            AND stage_candidate.readout = answer.method
    WHERE
        stage_candidate.rank = 1
        AND stage_candidate.module = 'answer'
        AND stage_candidate.dataset_id NOT IN (SELECT sample_fold.dataset_id FROM sample_fold)
)

SELECT
    predictions.model_id,
    predictions.dataset_id,
    predictions.stage,
    predictions.module,
    predictions.seed,
    predictions.sample_id,
    sample.class_index,
    predictions.predicted_class_index,
    coalesce(predictions.predicted_class_index = sample.class_index, FALSE) AS is_right
FROM predictions
INNER JOIN sample
    ON predictions.dataset_id = sample.dataset_id AND predictions.sample_id = sample.sample_id
WHERE sample.split = 'test'
UNION ALL
SELECT
    model_id,
    dataset_id,
    stage,
    module,
    repetition AS seed,
    sample_id,
    class_index,
    predicted_class_index,
    is_right
FROM fold_prediction
WHERE model_id IS NOT NULL
