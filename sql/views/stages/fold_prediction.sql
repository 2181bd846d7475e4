-- Grain: one row per (model, dataset with folds, stage, repetition, sample) that the stage was tried
-- on: what the choice for the fold that the sample is scored in says of it. The stage reference, whose
-- model is NULL, is what the chosen baselines say. An answer is the same in every repetition. The
-- score is the mean over strata of the share that is right in each: one stratum for accuracy, the
-- classes for balanced accuracy.
WITH scored AS MATERIALIZED (
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

predictions AS (
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.stage,
        scored.module,
        scored.repetition,
        scored.sample_id,
        probe_logit.predicted_class_index
    FROM scored
    INNER JOIN scored_probe
        ON
            scored.model_id = scored_probe.model_id
            AND scored.dataset_id = scored_probe.dataset_id
            AND scored.module = scored_probe.module
            AND scored.layer = scored_probe.layer
            AND scored.readout = scored_probe.readout
            AND scored.kind = scored_probe.kind
            AND scored.repetition = scored_probe.seed
    INNER JOIN probe_logit
        ON scored_probe.probe_id = probe_logit.probe_id AND scored.sample_id = probe_logit.sample_id
    WHERE scored_probe.control = 'none' AND probe_logit.split = 'test'
    UNION ALL
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.stage,
        scored.module,
        scored.repetition,
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
        scored.repetition,
        scored.sample_id,
        baseline_logit.predicted_class_index
    FROM scored
    INNER JOIN scored_baseline
        ON
            scored.dataset_id = scored_baseline.dataset_id
            AND scored.readout = scored_baseline.architecture
            AND scored.kind = scored_baseline.kind
            AND scored.repetition = scored_baseline.seed
    INNER JOIN baseline_logit
        ON
            scored_baseline.baseline_id = baseline_logit.baseline_id
            AND scored.sample_id = baseline_logit.sample_id
    WHERE scored.stage = 'reference' AND baseline_logit.split = 'test'
)

SELECT
    predictions.model_id,
    predictions.dataset_id,
    predictions.stage,
    predictions.module,
    predictions.repetition,
    predictions.sample_id,
    sample.class_index,
    by_score(dataset.score, sample.class_index, 0) AS stratum,
    predictions.predicted_class_index,
    coalesce(predictions.predicted_class_index = sample.class_index, FALSE) AS is_right
FROM predictions
INNER JOIN sample
    ON predictions.dataset_id = sample.dataset_id AND predictions.sample_id = sample.sample_id
LEFT JOIN dataset ON predictions.dataset_id = dataset.dataset_id
