-- Grain: one row per (model, dataset, stage, candidate); rank 1 is the chosen one.
--
-- What may stand for a stage: information cannot grow along the pipeline, so the class is at least
-- as available after a stage as any later locus, or the answer itself, still shows. Candidates are
-- therefore all probes on the path at or after the stage's end, plus the answer, which stands for
-- nothing but itself where no locus was probed. The llm stage ends at the last prompt token of the
-- last locus, or where it was read, at the last token of the reply before it names a class: nothing
-- but their probes and the answer may stand for it. Every choice is made on val, by the dataset's
-- score; test_accuracy is only reported. Under folds each fold chooses for itself (`fold_choice`).
WITH flow AS (
    SELECT
        signal_flow.*,
        readout.reads
    FROM signal_flow
    INNER JOIN readout ON signal_flow.readout = readout.name
    WHERE
        signal_flow.on_path
        AND readout.is_evidence
        AND signal_flow.test_accuracy IS NOT NULL
),

answers AS (
    SELECT *
    FROM answer_accuracy
    -- Nobody who uses the model reads its calibrated likelihoods.
    WHERE method <> 'calibrated'
),

stage_ends AS (
    SELECT
        layer.model_id,
        stage.stage,
        stage.stage_order,
        max(layer.depth) AS end_depth
    FROM layer
    INNER JOIN stage ON layer.module = stage.module
    WHERE layer.on_path
    GROUP BY layer.model_id, stage.stage, stage.stage_order
),

test_sizes AS (
    SELECT
        dataset_id,
        count(*) AS n_samples,
        dataset_id IN (SELECT sample_fold.dataset_id FROM sample_fold) AS is_folded
    FROM sample
    WHERE split = 'test'
    GROUP BY dataset_id
),

left_out AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n
    FROM left_out_sample
    GROUP BY model_id, dataset_id
),

answer_methods AS (
    SELECT
        answers.model_id,
        answers.dataset_id,
        answers.method,
        -- Under folds all samples are test; what is not trained chose on none of them.
        coalesce(
            max(answers.score_value) FILTER (WHERE answers.split = 'val'),
            max(answers.score_value) FILTER (WHERE answers.split = 'test' AND test_sizes.is_folded)
        ) AS val_accuracy,
        any_value(answers.score) AS score,
        max(answers.score_value) FILTER (WHERE answers.split = 'test') AS test_accuracy,
        max(answers.chance) FILTER (WHERE answers.split = 'test') AS chance,
        max(answers.n) FILTER (WHERE answers.split = 'test') AS n_test,
        max(test_sizes.n_samples) - coalesce(max(left_out.n), 0) AS n_samples
    FROM answers
    INNER JOIN test_sizes ON answers.dataset_id = test_sizes.dataset_id
    LEFT JOIN left_out
        ON answers.model_id = left_out.model_id AND answers.dataset_id = left_out.dataset_id
    GROUP BY answers.model_id, answers.dataset_id, answers.method
),

-- The model speaks for itself only if it did so for every test sample that it did not learn, or if
-- that was chosen.
the_answer AS (
    SELECT answer_methods.*
    FROM answer_methods
    LEFT JOIN diagnosis_choice
        ON
            answer_methods.model_id = diagnosis_choice.model_id
            AND answer_methods.dataset_id = diagnosis_choice.dataset_id
    WHERE answer_methods.test_accuracy IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY answer_methods.model_id, answer_methods.dataset_id
        ORDER BY
            coalesce(answer_methods.method = diagnosis_choice.method, FALSE) DESC,
            answer_methods.method = 'generate'
            AND answer_methods.n_test >= answer_methods.n_samples DESC,
            answer_methods.method = 'likelihood' DESC,
            answer_methods.method
    ) = 1
),

probed AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM flow
),

candidates AS (
    SELECT
        flow.model_id,
        flow.dataset_id,
        stage_ends.stage,
        stage_ends.stage_order,
        flow.module,
        flow.layer,
        flow.depth,
        flow.readout,
        flow.kind,
        flow.score,
        flow.val_accuracy,
        flow.test_accuracy,
        flow.chance,
        flow.n_test
    FROM flow
    INNER JOIN stage_ends
        ON flow.model_id = stage_ends.model_id AND flow.depth >= stage_ends.end_depth
    WHERE
        stage_ends.stage <> 'llm'
        OR (
            flow.module = 'llm'
            AND flow.reads IN ('final', 'reply')
            AND flow.depth = stage_ends.end_depth
        )
    UNION ALL
    SELECT
        the_answer.model_id,
        the_answer.dataset_id,
        stage.stage,
        stage.stage_order,
        'answer' AS module,
        NULL AS layer,
        NULL AS depth,
        the_answer.method AS readout,
        'answer' AS kind,
        the_answer.score,
        the_answer.val_accuracy,
        the_answer.test_accuracy,
        the_answer.chance,
        the_answer.n_test
    FROM the_answer
    CROSS JOIN stage
    LEFT JOIN probed
        ON
            the_answer.model_id = probed.model_id
            AND the_answer.dataset_id = probed.dataset_id
    WHERE stage.stage = 'answer' OR probed.model_id IS NOT NULL
)

SELECT
    candidates.model_id,
    candidates.dataset_id,
    candidates.stage,
    candidates.stage_order,
    candidates.module,
    candidates.layer,
    candidates.depth,
    candidates.readout,
    candidates.kind,
    candidates.n_test,
    candidates.score,
    candidates.chance,
    candidates.val_accuracy,
    candidates.test_accuracy,
    row_number() OVER (
        PARTITION BY candidates.model_id, candidates.dataset_id, candidates.stage
        -- Rounded, so that the order in which seeds were summed cannot decide a tie.
        ORDER BY
            round(candidates.val_accuracy, 9) DESC NULLS LAST,
            candidates.depth DESC NULLS FIRST,
            candidates.readout ASC,
            probe_kind.preference ASC NULLS LAST,
            candidates.kind ASC
    ) AS rank
FROM candidates
LEFT JOIN probe_kind ON candidates.kind = probe_kind.name
