-- Grain: one row per (model, dataset) with an advised repair and a stage that loses: whether the
-- cheapest repair that suffices on val lies at the stage that loses most as probes read it. There is
-- a note where it gains more than the margin there: less points nowhere.
WITH lost AS (
    SELECT
        stage_loss.model_id,
        stage_loss.dataset_id,
        stage_loss.stage,
        threshold.margin
    FROM stage_loss
    CROSS JOIN threshold
    WHERE exceeds(stage_loss.loss, threshold.margin)
    QUALIFY row_number() OVER (
        PARTITION BY stage_loss.model_id, stage_loss.dataset_id
        ORDER BY round(stage_loss.loss, 9) DESC, stage_loss.stage_order ASC
    ) = 1
),

pairs AS (
    SELECT
        lost.model_id,
        lost.dataset_id,
        advised.stage AS advised_stage,
        advised.repair AS advised_repair,
        advised.val_gain AS advised_gain,
        lost.margin,
        lost.stage AS lost_stage,
        there.repair AS repair_there,
        there.val_gain AS gain_there
    FROM lost
    INNER JOIN repair_choice AS advised
        ON
            lost.model_id = advised.base_model_id
            AND lost.dataset_id = advised.dataset_id
            AND advised.is_advised
    LEFT JOIN repair_choice AS there
        ON
            lost.model_id = there.base_model_id
            AND lost.dataset_id = there.dataset_id
            AND lost.stage = there.stage
            AND there.is_best_of_stage
)

SELECT
    * EXCLUDE (margin),
    advised_stage <> lost_stage AS disagrees,
    CASE
        WHEN advised_stage <> lost_stage AND exceeds(advised_gain, margin)
            THEN concat(
                'repairs point elsewhere than probes: the cheapest that suffices on val is ',
                advised_stage,
                '/',
                advised_repair,
                ', which gains ',
                cast(round(100 * advised_gain) AS INTEGER),
                ' points on val, and at ',
                lost_stage,
                ', which loses most, ',
                coalesce(
                    lost_stage || '/' || repair_there || ' gains '
                    || cast(round(100 * gain_there) AS INTEGER),
                    'no repair is known that gains'
                )
            )
    END AS note
FROM pairs
