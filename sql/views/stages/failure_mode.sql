-- Grain: one row per (model, dataset, failure mode); verdict and reason are those of the whole
-- (model, dataset) and repeat on its four rows.
--
-- A failure mode is present when the lower bound of its loss exceeds the margin, primary when it
-- is the largest present one. Without a present mode the model is healthy if the total loss is
-- small (lower bound within the margin, upper bound within `healthy_upper`) and there was something
-- to lose (the reference's lower bound exceeds chance), else undetermined. It is also
-- undetermined while something is missing (`verdict_obstacle`): `reason` then names it and the
-- command that provides it. Intervals that are not today's (`loss_interval`) count as missing.
WITH intervals AS MATERIALIZED (
    SELECT
        model_id,
        dataset_id,
        stage,
        lower,
        upper,
        margin,
        is_fresh,
        max(lower) FILTER (WHERE stage = 'total') OVER whole AS total_lower,
        max(upper) FILTER (WHERE stage = 'total') OVER whole AS total_upper
    FROM loss_interval
    WINDOW whole AS (PARTITION BY model_id, dataset_id)
),

reference_bounds AS (
    SELECT
        model_id,
        dataset_id,
        -- Lakes of older versions call an accuracy `signal` only.
        max(lower) AS reference_lower
    FROM stage_interval
    WHERE stage = 'total' AND quantity IN ('accuracy', 'signal')
    GROUP BY model_id, dataset_id
),

chances AS (
    SELECT
        model_id,
        dataset_id,
        max(chance) AS chance,
        any_value(score) AS score
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

present AS (
    SELECT
        stage_loss.model_id,
        stage_loss.dataset_id,
        stage_loss.failure_mode,
        stage_loss.stage_order,
        chances.score,
        stage_loss.loss,
        intervals.lower,
        intervals.upper,
        threshold.healthy_upper,
        coalesce(intervals.margin, threshold.margin) AS margin,
        coalesce(
            exceeds(intervals.lower, intervals.margin) AND verdict_obstacle.obstacle IS NULL,
            FALSE
        ) AS is_present,
        verdict_obstacle.obstacle,
        verdict_obstacle.note,
        intervals.total_lower,
        intervals.total_upper,
        exceeds(reference_bounds.reference_lower, chances.chance) AS has_signal,
        power_statement.statement,
        coalesce(format('(about {:,}) ', power_statement.n_to_settle), '') AS enough
    FROM stage_loss
    LEFT JOIN intervals
        ON
            stage_loss.model_id = intervals.model_id
            AND stage_loss.dataset_id = intervals.dataset_id
            AND stage_loss.stage = intervals.stage
            AND intervals.is_fresh
    LEFT JOIN verdict_obstacle
        ON
            stage_loss.model_id = verdict_obstacle.model_id
            AND stage_loss.dataset_id = verdict_obstacle.dataset_id
    LEFT JOIN reference_bounds
        ON
            stage_loss.model_id = reference_bounds.model_id
            AND stage_loss.dataset_id = reference_bounds.dataset_id
    LEFT JOIN chances
        ON stage_loss.model_id = chances.model_id AND stage_loss.dataset_id = chances.dataset_id
    LEFT JOIN power_statement
        ON
            stage_loss.model_id = power_statement.model_id
            AND stage_loss.dataset_id = power_statement.dataset_id
    CROSS JOIN threshold
),

ranked AS (
    SELECT
        *,
        is_present AND row_number() OVER (
            PARTITION BY model_id, dataset_id
            ORDER BY is_present DESC, round(loss, 9) DESC, stage_order ASC
        ) = 1 AS is_primary
    FROM present
),

named AS (
    SELECT
        *,
        max(failure_mode) FILTER (WHERE is_primary) OVER (PARTITION BY model_id, dataset_id)
            AS primary_mode
    FROM ranked
),

judged AS (
    SELECT
        *,
        CASE
            WHEN obstacle IS NOT NULL THEN 'undetermined'
            WHEN primary_mode IS NOT NULL THEN primary_mode
            WHEN
                has_signal
                AND NOT exceeds(total_lower, margin)
                AND NOT exceeds(total_upper, healthy_upper)
                THEN 'healthy'
            ELSE 'undetermined'
        END AS verdict
    FROM named
),

explained AS (
    SELECT
        *,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN verdict <> 'undetermined' THEN NULL
            WHEN NOT has_signal
                THEN
                    concat(
                        'nothing was read for certain beyond ',
                        if(score = 'accuracy', 'the majority class', 'chance'),
                        ', by a probe, a baseline or the model itself, so there was nothing to lose'
                    )
            WHEN exceeds(total_lower, margin)
                THEN
                    concat(
                        'something is lost for certain, but not for certain in any one stage: ',
                        'more test images ', enough, 'would settle where'
                    )
            ELSE
                concat(
                    'too few test images to tell a healthy model from a failing one: more ',
                    enough, 'would settle it'
                )
        END AS doubt
    FROM judged
)

SELECT
    model_id,
    dataset_id,
    failure_mode,
    stage_order,
    score,
    loss,
    lower,
    upper,
    margin,
    is_present,
    is_primary,
    verdict,
    nullif(
        concat_ws(
            '; ',
            doubt,
            CASE WHEN verdict = 'undetermined' THEN statement END,
            CASE WHEN obstacle IS NULL THEN note END
        ),
        ''
    ) AS reason
FROM explained
