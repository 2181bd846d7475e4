-- Grain: one row per (model, dataset, stage) of which a repair was tried: which were, and which not.
--
-- What was tried: what a model with the repair is known of, and repairs of which no epoch was better
-- on val than none, so that nothing was run with them.
WITH attempts AS (
    SELECT
        base_model_id AS model_id,
        dataset_id,
        stage,
        repair,
        TRUE AS is_trained
    FROM mend
    WHERE control = 'none'
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        split_part(json_extract_string(config, '$.repair'), '/', 1) AS stage,
        split_part(json_extract_string(config, '$.repair'), '/', 2) AS repair,
        FALSE AS is_trained
    FROM run
    WHERE command = 'mend' AND status = 'finished' AND contains(config, '"helps"')
),

tried AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        repair,
        bool_or(is_trained) AS is_trained
    FROM attempts
    GROUP BY model_id, dataset_id, stage, repair
),

stages_tried AS (
    SELECT
        tried.model_id,
        tried.dataset_id,
        tried.stage,
        NOT bool_or(tried.is_trained) AS is_in_vain,
        string_agg(
            concat(tried.stage, '/', tried.repair), ', '
            ORDER BY repair_kind.number, tried.repair
        ) AS tried
    FROM tried
    LEFT JOIN repair_kind
        ON tried.stage = repair_kind.stage AND tried.repair = repair_kind.repair
    GROUP BY tried.model_id, tried.dataset_id, tried.stage
),

stages_left AS (
    SELECT
        stages_tried.model_id,
        stages_tried.dataset_id,
        stages_tried.stage,
        count(*) AS n,
        string_agg(
            concat(repair_kind.stage, '/', repair_kind.repair), ', ' ORDER BY repair_kind.number
        ) AS untried
    FROM stages_tried
    INNER JOIN repair_kind ON stages_tried.stage = repair_kind.stage
    ANTI JOIN tried
        ON
            stages_tried.model_id = tried.model_id
            AND stages_tried.dataset_id = tried.dataset_id
            AND repair_kind.stage = tried.stage
            AND repair_kind.repair = tried.repair
    GROUP BY stages_tried.model_id, stages_tried.dataset_id, stages_tried.stage
)

SELECT
    stages_tried.model_id,
    stages_tried.dataset_id,
    stages_tried.stage,
    stages_tried.tried,
    stages_tried.is_in_vain,
    stages_left.untried,
    coalesce(stages_left.n, 0) AS n_untried
FROM stages_tried
LEFT JOIN stages_left
    ON
        stages_tried.model_id = stages_left.model_id
        AND stages_tried.dataset_id = stages_left.dataset_id
        AND stages_tried.stage = stages_left.stage
