-- Grain: one row per (model, dataset, failure mode); four rows per model and dataset.
--
-- What each stage loses of what was there before it, as accuracy on test. The first stage is held
-- against the reference: the better of the best baseline (chosen on val) and the vision signal.
-- The four losses sum to reference - answer. Where a stage has no signal its losses are NULL.
-- llm_comprehension is split into what the image tokens no longer hold (comprehension) and what
-- they hold but the last prompt token does not (utilisation); semantic_mapping into replies that
-- could not be parsed although the last token knew the class (unparsed) and the rest (wrong).
-- calibration_loss is another cut of semantic_mapping: what calibrated likelihoods would win back.
WITH best_baselines AS (
    SELECT *
    FROM baseline_candidate
    WHERE rank = 1
),

flow AS (
    SELECT *
    FROM signal_flow
    WHERE on_path AND module = 'llm' AND readout IN ('mean', 'grid')
),

loci AS (
    SELECT *
    FROM layer
    WHERE on_path AND module = 'llm'
),

chosen_llm_probes AS (
    SELECT *
    FROM stage_probe
    WHERE stage = 'llm' AND rank = 1
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

llm_ends AS (
    SELECT
        model_id,
        max(depth) AS end_depth
    FROM loci
    GROUP BY model_id
),

image_tokens AS (
    SELECT
        flow.model_id,
        flow.dataset_id,
        flow.test_accuracy
    FROM flow
    INNER JOIN llm_ends
        ON flow.model_id = llm_ends.model_id AND flow.depth = llm_ends.end_depth
    WHERE flow.test_accuracy IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY flow.model_id, flow.dataset_id
        ORDER BY round(flow.val_accuracy, 9) DESC NULLS LAST, flow.readout ASC, flow.kind ASC
    ) = 1
),

pivoted AS (
    SELECT
        model_id,
        dataset_id,
        max(available_accuracy) FILTER (WHERE stage = 'vision') AS after_vision,
        max(available_accuracy) FILTER (WHERE stage = 'connector') AS after_connector,
        max(available_accuracy) FILTER (WHERE stage = 'llm') AS after_llm,
        max(available_accuracy) FILTER (WHERE stage = 'answer') AS answered,
        max(readout) FILTER (WHERE stage = 'answer') AS method,
        max(n_test) FILTER (WHERE stage = 'answer') AS n_answers
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

unparsed_answers AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.sample_id,
        test_samples.class_index,
        pivoted.n_answers
    FROM answer
    INNER JOIN pivoted
        ON
            answer.model_id = pivoted.model_id
            AND answer.dataset_id = pivoted.dataset_id
            AND answer.method = pivoted.method
    INNER JOIN test_samples
        ON
            answer.dataset_id = test_samples.dataset_id
            AND answer.sample_id = test_samples.sample_id
    WHERE NOT answer.parsed
),

-- Zero where the answer itself stands for the llm stage: it knows nothing of what it did not say.
unparsed AS (
    SELECT
        unparsed_answers.model_id,
        unparsed_answers.dataset_id,
        sum(
            CASE
                WHEN test_logits.predicted_class_index = unparsed_answers.class_index THEN 1.0
                ELSE 0.0
            END / chosen_llm_probes.n_seeds / unparsed_answers.n_answers
        ) AS known_share
    FROM unparsed_answers
    INNER JOIN chosen_llm_probes
        ON
            unparsed_answers.model_id = chosen_llm_probes.model_id
            AND unparsed_answers.dataset_id = chosen_llm_probes.dataset_id
    INNER JOIN test_logits
        ON
            chosen_llm_probes.probe_id = test_logits.probe_id
            AND unparsed_answers.sample_id = test_logits.sample_id
    GROUP BY unparsed_answers.model_id, unparsed_answers.dataset_id
),

calibrated AS (
    SELECT *
    FROM answer_accuracy
    WHERE method = 'calibrated' AND split = 'test'
),

measured AS (
    SELECT
        pivoted.model_id,
        pivoted.dataset_id,
        CASE
            WHEN pivoted.after_vision IS NOT NULL
                THEN greatest(
                    pivoted.after_vision,
                    coalesce(best_baselines.test_accuracy, pivoted.after_vision)
                )
        END AS reference,
        CASE
            WHEN best_baselines.test_accuracy > pivoted.after_vision THEN 'baseline'
            WHEN pivoted.after_vision IS NOT NULL THEN 'vision'
        END AS reference_source,
        pivoted.after_vision,
        pivoted.after_connector,
        pivoted.after_llm,
        pivoted.answered,
        greatest(
            pivoted.after_llm, least(image_tokens.test_accuracy, pivoted.after_connector)
        ) AS held_by_image_tokens,
        image_tokens.test_accuracy IS NOT NULL AND pivoted.after_llm IS NOT NULL AS is_split,
        CASE
            WHEN pivoted.answered IS NOT NULL
                THEN least(
                    coalesce(unparsed.known_share, 0), pivoted.after_llm - pivoted.answered
                )
        END AS unparsed_loss,
        -- Held against an answer to the same samples only.
        CASE
            WHEN calibrated.n = pivoted.n_answers
                THEN least(
                    greatest(calibrated.accuracy - pivoted.answered, 0),
                    pivoted.after_llm - pivoted.answered
                )
        END AS calibration_loss
    FROM pivoted
    LEFT JOIN best_baselines ON pivoted.dataset_id = best_baselines.dataset_id
    LEFT JOIN image_tokens
        ON
            pivoted.model_id = image_tokens.model_id
            AND pivoted.dataset_id = image_tokens.dataset_id
    LEFT JOIN unparsed
        ON
            pivoted.model_id = unparsed.model_id
            AND pivoted.dataset_id = unparsed.dataset_id
    LEFT JOIN calibrated
        ON
            pivoted.model_id = calibrated.model_id
            AND pivoted.dataset_id = calibrated.dataset_id
),

modes AS (
    SELECT
        listed.failure_mode,
        listed.stage,
        listed.stage_order
    FROM (
        VALUES
        ('vision_quality', 'vision', 0),
        ('connector_fidelity', 'connector', 1),
        ('llm_comprehension', 'llm', 2),
        ('semantic_mapping', 'answer', 3)
    ) AS listed (failure_mode, stage, stage_order)
),

steps AS (
    SELECT
        measured.*,
        modes.failure_mode,
        modes.stage,
        modes.stage_order,
        CASE modes.stage
            WHEN 'vision' THEN measured.reference
            WHEN 'connector' THEN measured.after_vision
            WHEN 'llm' THEN measured.after_connector
            ELSE measured.after_llm
        END AS before,
        CASE modes.stage
            WHEN 'vision' THEN measured.after_vision
            WHEN 'connector' THEN measured.after_connector
            WHEN 'llm' THEN measured.after_llm
            ELSE measured.answered
        END AS after
    FROM measured
    CROSS JOIN modes
)

SELECT
    model_id,
    dataset_id,
    failure_mode,
    stage,
    stage_order,
    before,
    after,
    before - after AS loss,
    reference_source,
    CASE
        WHEN stage = 'llm' AND is_split THEN before - held_by_image_tokens
    END AS comprehension_loss,
    CASE
        WHEN stage = 'llm' AND is_split THEN held_by_image_tokens - after
    END AS utilisation_loss,
    CASE
        WHEN stage = 'answer' THEN unparsed_loss
    END AS unparsed_loss,
    CASE
        WHEN stage = 'answer' THEN before - after - unparsed_loss
    END AS wrong_loss,
    CASE
        WHEN stage = 'answer' THEN calibration_loss
    END AS calibration_loss
FROM steps
