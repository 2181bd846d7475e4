-- Grain: one row per (model, dataset) of which a variant is known that may answer better: the one
-- whose states should be put into it, as `layerhouse patch --from` takes it.
--
-- That is the variant of the same model, or the model that it was made from or that was made from
-- it, that answers best, if better; of a model with a fault that is the best in the lake, the one
-- without it, there or not. A repair is no donor: what it brings comes back where it was trained.
WITH answers AS (
    SELECT
        stage_signal.model_id,
        stage_signal.dataset_id,
        stage_signal.available_accuracy AS answered,
        model.name,
        model.variant,
        model_options.options
    FROM stage_signal
    INNER JOIN model ON stage_signal.model_id = model.model_id
    INNER JOIN model_options ON stage_signal.model_id = model_options.model_id
    WHERE stage_signal.stage = 'answer' AND NOT regexp_matches(model.variant, '(^|[+])random:')
),

relatives AS (
    SELECT
        model_id,
        base_model_id AS donor_model_id
    FROM model_pair
    WHERE pair_kind = 'general_base'
    UNION ALL
    SELECT
        base_model_id AS model_id,
        model_id AS donor_model_id
    FROM model_pair
    WHERE pair_kind = 'general_base'
),

better AS (
    SELECT
        own.model_id,
        own.dataset_id,
        donor.name,
        donor.options,
        donor.answered,
        donor.model_id AS donor_model_id
    FROM answers AS own
    INNER JOIN answers AS donor
        ON
            own.dataset_id = donor.dataset_id
            AND own.answered < donor.answered
            AND NOT starts_with(donor.variant, 'mend:')
    LEFT JOIN relatives
        ON own.model_id = relatives.model_id AND donor.model_id = relatives.donor_model_id
    WHERE own.name = donor.name OR relatives.model_id IS NOT NULL
),

healthy AS (
    SELECT
        model_id,
        dataset_id,
        name,
        regexp_replace(options, ' --fault .*$', '') AS options,
        -1.0 AS answered,
        '' AS donor_model_id
    FROM answers
    WHERE contains(options, ' --fault ')
)

SELECT
    model_id,
    dataset_id,
    concat(
        ' --from ',
        shell_word(name),
        regexp_replace(
            options, ' --(adapter|fault|quantization|random-weights) ', ' --from-\1 ', 'g'
        )
    ) AS options
FROM (
    SELECT *
    FROM better
    UNION ALL
    SELECT *
    FROM healthy
) AS donors
QUALIFY row_number() OVER (
    PARTITION BY model_id, dataset_id ORDER BY answered DESC, donor_model_id ASC
) = 1
