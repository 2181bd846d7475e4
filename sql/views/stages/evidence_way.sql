-- Grain: one row per (model, dataset, stage): what would measure each of the three kinds of evidence,
-- the command as it can be run, or why none can.
WITH subjects AS (
    SELECT
        extract_command.*,
        model.variant,
        verdict_obstacle.obstacle,
        patch_donor.options AS donor,
        extract_command.model_id IN (
            SELECT layer.model_id
            FROM layer
        ) AS is_described,
        extract_command.model_id IN (
            SELECT brought_states.model_id
            FROM brought_states
        ) AS is_brought,
        contains(concat('+', model.variant), '+mend:') AS has_repair,
        regexp_full_match(
            model.variant,
            'base|fault:(damage|lowrank)@[^+]*([+]fault:(damage|lowrank)@[^+]*)*'
        ) AS is_whole
    FROM extract_command
    LEFT JOIN model ON extract_command.model_id = model.model_id
    LEFT JOIN verdict_obstacle
        ON
            extract_command.model_id = verdict_obstacle.model_id
            AND extract_command.dataset_id = verdict_obstacle.dataset_id
    LEFT JOIN patch_donor
        ON
            extract_command.model_id = patch_donor.model_id
            AND extract_command.dataset_id = patch_donor.dataset_id
)

SELECT
    subjects.model_id,
    subjects.dataset_id,
    stage.stage,
    coalesce(subjects.obstacle, concat('run `layerhouse diagnose', subjects.arguments, '`'))
        AS information,
    CASE
        WHEN NOT subjects.is_described
            THEN 'nothing but answers from elsewhere is known of this model'
        WHEN subjects.is_brought
            THEN 'the states of this model were brought from elsewhere, and it is not run here'
        WHEN subjects.has_repair THEN 'what a repair brings is told beside the model without it'
        WHEN subjects.donor IS NULL
            THEN 'no variant of this model is known that answers better'
        ELSE concat('run `layerhouse patch', subjects.making, subjects.donor, '`')
    END AS use,
    CASE
        WHEN NOT subjects.is_described
            THEN 'nothing but answers from elsewhere is known of this model'
        WHEN subjects.is_brought
            THEN 'the states of this model were brought from elsewhere, and it is not run here'
        WHEN subjects.has_repair THEN 'what a repair brings is told beside the model without it'
        WHEN NOT subjects.is_whole
            THEN
                'repairs are trained on whole weights, without adapters, quantisation or '
                || 'faults of activations, and not on untrained ones'
        ELSE concat('run `layerhouse mend', subjects.making, ' --stage ', stage.stage, '`')
    END AS cure
FROM subjects
CROSS JOIN stage
