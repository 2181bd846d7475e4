-- Grain: one row per (model, dataset, stage, seed, test sample) that the stage was tried on.
--
-- What stands for a stage says of one image, once per seed of its probes, and under folds once per
-- repetition, by the choice for the fold that the sample is scored in. An answer says it once, under
-- folds once per repetition; one that could not be parsed names none. The stage reference, whose
-- model is NULL, is what the chosen baselines of a dataset with folds say.
WITH scored AS (
    SELECT
        fold_choice.*,
        sample_fold.sample_id
    FROM fold_choice
    INNER JOIN sample_fold
        ON
            fold_choice.dataset_id = sample_fold.dataset_id
            AND fold_choice.repetition = sample_fold.repetition
            AND fold_choice.fold = sample_fold.fold
),

split_probes AS (
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
    UNION ALL
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.stage,
        scored.module,
        scored.repetition AS seed,
        scored.sample_id,
        probe_logit.predicted_class_index
    FROM scored
    INNER JOIN probe
        ON
            scored.model_id = probe.model_id
            AND scored.dataset_id = probe.dataset_id
            AND scored.module = probe.module
            AND scored.layer = probe.layer
            AND scored.readout = probe.readout
            AND scored.kind = probe.kind
            AND scored.repetition = probe.seed
    INNER JOIN probe_logit
        ON probe.probe_id = probe_logit.probe_id AND scored.sample_id = probe_logit.sample_id
    WHERE probe.control = 'none' AND probe_logit.split = 'test'
    UNION ALL
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.stage,
        scored.module,
        scored.repetition AS seed,
        scored.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM scored
    INNER JOIN diagnosed_answer AS answer
        ON
            scored.model_id = answer.model_id
            AND scored.dataset_id = answer.dataset_id
            AND scored.readout = answer.method
            AND scored.sample_id = answer.sample_id
    WHERE scored.module = 'answer'
    UNION ALL
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.stage,
        scored.module,
        scored.repetition AS seed,
        scored.sample_id,
        baseline_logit.predicted_class_index
    FROM scored
    INNER JOIN baseline
        ON
            scored.dataset_id = baseline.dataset_id
            AND scored.readout = baseline.architecture
            AND scored.kind = baseline.kind
            AND scored.repetition = baseline.seed
    INNER JOIN baseline_logit
        ON
            baseline.baseline_id = baseline_logit.baseline_id
            AND scored.sample_id = baseline_logit.sample_id
    WHERE scored.stage = 'reference' AND baseline_logit.split = 'test'
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
