-- Grain: one row per (model, dataset, failure mode); four rows per model and dataset.
--
-- What each stage loses of what was there before it, as accuracy on test by the dataset's score.
-- The first stage is held against the reference: the better of the best baseline (chosen on val),
-- on the samples that the model did not see in training, and the accuracy after vision. The four
-- losses sum to reference - answer. Where a stage has no accuracy its losses are NULL.
-- llm_comprehension is split into what the image tokens no longer hold (comprehension) and what
-- they hold but the last prompt token does not (utilisation); semantic_mapping into replies that
-- name no class although the last token knew it, cut ones (truncated) and others (unparsed), and
-- the rest (wrong). calibration_loss is another cut of semantic_mapping: what calibrated
-- likelihoods would win back.
WITH pivoted AS (
    SELECT
        model_id,
        dataset_id,
        max(available_accuracy) FILTER (WHERE stage = 'vision') AS after_vision,
        max(available_accuracy) FILTER (WHERE stage = 'connector') AS after_connector,
        max(available_accuracy) FILTER (WHERE stage = 'llm') AS after_llm,
        max(available_accuracy) FILTER (WHERE stage = 'answer') AS answered,
        max(readout) FILTER (WHERE stage = 'answer') AS method,
        max(n_test) FILTER (WHERE stage = 'answer') AS n_answers,
        any_value(score) AS score
    FROM stage_signal
    GROUP BY model_id, dataset_id
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
        pivoted.score,
        CASE
            WHEN pivoted.after_vision IS NOT NULL
                THEN greatest(
                    pivoted.after_vision,
                    coalesce(stage_reference.test_accuracy, pivoted.after_vision)
                )
        END AS reference,
        CASE
            WHEN stage_reference.test_accuracy > pivoted.after_vision THEN 'baseline'
            WHEN pivoted.after_vision IS NOT NULL THEN 'vision'
        END AS reference_source,
        pivoted.after_vision,
        pivoted.after_connector,
        pivoted.after_llm,
        pivoted.answered,
        greatest(
            pivoted.after_llm, least(image_token_accuracy.test_accuracy, pivoted.after_connector)
        ) AS held_by_image_tokens,
        image_token_accuracy.test_accuracy IS NOT NULL
        AND pivoted.after_llm IS NOT NULL AS is_split,
        CASE
            WHEN pivoted.answered IS NOT NULL
                THEN least(
                    coalesce(unparsed_knowledge.known_share, 0),
                    pivoted.after_llm - pivoted.answered
                )
        END AS nameless_loss,
        coalesce(unparsed_knowledge.known_truncated_share, 0) AS cut_share,
        -- Held against an answer to the same samples only.
        CASE
            WHEN calibrated.n = pivoted.n_answers
                THEN least(
                    greatest(calibrated.score_value - pivoted.answered, 0),
                    pivoted.after_llm - pivoted.answered
                )
        END AS calibration_loss
    FROM pivoted
    LEFT JOIN stage_reference
        ON
            pivoted.model_id = stage_reference.model_id
            AND pivoted.dataset_id = stage_reference.dataset_id
    LEFT JOIN image_token_accuracy
        ON
            pivoted.model_id = image_token_accuracy.model_id
            AND pivoted.dataset_id = image_token_accuracy.dataset_id
    LEFT JOIN unparsed_knowledge
        ON
            pivoted.model_id = unparsed_knowledge.model_id
            AND pivoted.dataset_id = unparsed_knowledge.dataset_id
    LEFT JOIN calibrated
        ON
            pivoted.model_id = calibrated.model_id
            AND pivoted.dataset_id = calibrated.dataset_id
),

steps AS (
    SELECT
        measured.*,
        stage.failure_mode,
        stage.stage,
        stage.stage_order,
        CASE stage.stage
            WHEN 'vision' THEN measured.reference
            WHEN 'connector' THEN measured.after_vision
            WHEN 'llm' THEN measured.after_connector
            ELSE measured.after_llm
        END AS before,
        CASE stage.stage
            WHEN 'vision' THEN measured.after_vision
            WHEN 'connector' THEN measured.after_connector
            WHEN 'llm' THEN measured.after_llm
            ELSE measured.answered
        END AS after
    FROM measured
    CROSS JOIN stage
)

SELECT
    model_id,
    dataset_id,
    failure_mode,
    stage,
    stage_order,
    score,
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
        WHEN stage = 'answer' THEN nameless_loss - least(cut_share, nameless_loss)
    END AS unparsed_loss,
    CASE
        WHEN stage = 'answer' THEN least(cut_share, nameless_loss)
    END AS truncated_loss,
    CASE
        WHEN stage = 'answer' THEN before - after - nameless_loss
    END AS wrong_loss,
    CASE
        WHEN stage = 'answer' THEN calibration_loss
    END AS calibration_loss
FROM steps
