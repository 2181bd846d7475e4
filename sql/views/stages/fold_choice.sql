-- Grain: one row per (model, dataset, stage, repetition, fold) of a dataset with folds: what stands
-- for the stage where the samples of that fold are scored. For the stage reference, which has no
-- model, it is a baseline.
--
-- Chosen on what probes and baselines of that repetition say of the samples of all other folds, as
-- val: nobody chooses on what is scored. An answer, which is not trained, is held against the same
-- samples, in the repetitions that the model was probed in: in another it would stand for every
-- stage. Each weighs as the dataset's score has it: all alike, or each class as much as another.
-- Otherwise chosen as in `stage_candidate`.
WITH folded AS (
    SELECT
        sample_fold.dataset_id,
        sample_fold.sample_id,
        sample_fold.repetition,
        sample_fold.fold,
        sample.class_index,
        by_score(
            dataset.score,
            1 / count(*) OVER (
                PARTITION BY sample_fold.dataset_id, sample_fold.repetition, sample.class_index
            ),
            1
        ) AS weight
    FROM sample_fold
    INNER JOIN sample
        ON
            sample_fold.dataset_id = sample.dataset_id
            AND sample_fold.sample_id = sample.sample_id
    LEFT JOIN dataset ON sample_fold.dataset_id = dataset.dataset_id
),

candidates AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        module,
        layer,
        depth,
        readout,
        kind,
        score
    FROM stage_candidate
    WHERE dataset_id IN (SELECT folded.dataset_id FROM folded)
    UNION ALL
    SELECT
        NULL AS model_id,
        dataset_id,
        'reference' AS stage,
        'baseline' AS module,
        NULL AS layer,
        NULL AS depth,
        architecture AS readout,
        kind,
        score
    FROM baseline_candidate
    WHERE dataset_id IN (SELECT folded.dataset_id FROM folded)
),

probed AS (
    SELECT DISTINCT
        model_id,
        dataset_id,
        seed AS repetition
    FROM scored_probe
    WHERE control = 'none'
),

said AS (
    SELECT
        scored_probe.model_id,
        scored_probe.dataset_id,
        scored_probe.module,
        scored_probe.layer,
        scored_probe.readout,
        scored_probe.kind,
        scored_probe.seed AS repetition,
        probe_logit.sample_id,
        probe_logit.predicted_class_index
    FROM scored_probe
    INNER JOIN probe_logit ON scored_probe.probe_id = probe_logit.probe_id
    WHERE scored_probe.control = 'none' AND probe_logit.split = 'val'
    UNION ALL
    SELECT
        NULL AS model_id,
        scored_baseline.dataset_id,
        'baseline' AS module,
        NULL AS layer,
        scored_baseline.architecture AS readout,
        scored_baseline.kind,
        scored_baseline.seed AS repetition,
        baseline_logit.sample_id,
        baseline_logit.predicted_class_index
    FROM scored_baseline
    INNER JOIN baseline_logit ON scored_baseline.baseline_id = baseline_logit.baseline_id
    WHERE baseline_logit.split = 'val'
    UNION ALL
    SELECT
        answer.model_id,
        answer.dataset_id,
        'answer' AS module,
        NULL AS layer,
        answer.method AS readout,
        'answer' AS kind,
        probed.repetition,  -- NULL, which is each of them, where it was probed in none
        answer.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM diagnosed_answer AS answer
    LEFT JOIN probed
        ON answer.model_id = probed.model_id AND answer.dataset_id = probed.dataset_id
),

counted AS (
    SELECT
        said.model_id,
        said.dataset_id,
        said.module,
        said.layer,
        said.readout,
        said.kind,
        folded.repetition,
        folded.fold,
        sum(folded.weight) AS weight,
        coalesce(
            sum(folded.weight) FILTER (WHERE said.predicted_class_index = folded.class_index), 0
        ) AS weight_right
    FROM said
    INNER JOIN folded
        ON
            said.dataset_id = folded.dataset_id
            AND said.sample_id = folded.sample_id
            AND folded.repetition = coalesce(said.repetition, folded.repetition)
    GROUP BY ALL
),

in_all AS (
    SELECT
        *,
        sum(weight_right) OVER every_fold AS right_in_all,
        sum(weight) OVER every_fold AS weight_in_all
    FROM counted
    WINDOW every_fold AS (
        PARTITION BY model_id, dataset_id, module, layer, readout, kind, repetition
    )
),

of_other_folds AS (
    SELECT
        *,
        (right_in_all - weight_right) / nullif(weight_in_all - weight, 0) AS val_accuracy
    FROM in_all
)

SELECT
    candidates.model_id,
    candidates.dataset_id,
    candidates.stage,
    of_other_folds.repetition,
    of_other_folds.fold,
    candidates.module,
    candidates.layer,
    candidates.readout,
    candidates.kind,
    candidates.score,
    of_other_folds.val_accuracy
FROM candidates
INNER JOIN of_other_folds
    ON
        candidates.model_id IS NOT DISTINCT FROM of_other_folds.model_id
        AND candidates.dataset_id = of_other_folds.dataset_id
        AND candidates.module = of_other_folds.module
        AND candidates.layer IS NOT DISTINCT FROM of_other_folds.layer
        AND candidates.readout = of_other_folds.readout
        AND candidates.kind = of_other_folds.kind
LEFT JOIN probe_kind ON candidates.kind = probe_kind.name
QUALIFY row_number() OVER (
    PARTITION BY
        candidates.model_id,
        candidates.dataset_id,
        candidates.stage,
        of_other_folds.repetition,
        of_other_folds.fold
    ORDER BY
        round(of_other_folds.val_accuracy, 9) DESC NULLS LAST,
        candidates.depth DESC NULLS FIRST,
        candidates.readout ASC,
        probe_kind.preference ASC NULLS LAST,
        candidates.kind ASC
) = 1
