-- Grain: one row per (model, dataset, stage) with something before and after the stage to be held
-- against each other; stage `total` is from the reference to the answer.
--
-- As `dataset_power`, of the samples that the model was examined on, but measured: `disagreement`
-- is the mean square of what the samples differ by, and n_effective their variance over that of
-- their mean when whole groups are drawn, so that it tells how much the images of a group have in
-- common; never less than if a group were one image, never more than if it were nothing.
--
-- n_to_settle: how many test images like these (as many to a group, as uneven) settle at 80% power
-- that the loss that was found exceeds the margin, and of `total`, that it is what a healthy model
-- may lose. NULL where it is on the other side, or within a tenth of a point: no set settles that;
-- and where all samples differ by the same: they tell of no spread that a number could be made of.
WITH by_group AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        group_id,
        count(*) AS n,
        sum(weight) AS weight,
        sum(weight ^ 2) AS squares,
        sum(weight * difference) AS difference,
        sum(weight * difference ^ 2) AS squared_difference
    FROM stage_difference
    GROUP BY model_id, dataset_id, stage, group_id
),

wholes AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        cast(sum(n) AS BIGINT) AS n_samples,
        count(*) AS n_groups,
        sum(difference) / sum(weight) AS mean,
        sum(squared_difference) / sum(weight) AS disagreement,
        sum(weight) ^ 2 AS whole,
        sum(weight) ^ 2 / sum(weight ^ 2) AS n_alike,
        sum(weight) ^ 2 / sum(squares) AS n_apart,
        -- Of the groups' sums of weight * (difference - mean) the squares.
        sum(difference ^ 2)
        - 2 * sum(difference) / sum(weight) * sum(difference * weight)
        + (sum(difference) / sum(weight)) ^ 2 * sum(weight ^ 2) AS between_groups
    FROM by_group
    GROUP BY model_id, dataset_id, stage
),

losses AS (
    SELECT
        model_id,
        dataset_id,
        coalesce(stage, 'total') AS stage,
        CASE WHEN count(loss) = count(*) THEN sum(loss) END AS loss
    FROM stage_loss
    GROUP BY GROUPING SETS ((model_id, dataset_id, stage), (model_id, dataset_id))
),

measured AS (
    SELECT
        wholes.model_id,
        wholes.dataset_id,
        wholes.stage,
        dataset_power.score,
        wholes.n_samples,
        wholes.n_groups,
        wholes.disagreement,
        greatest(wholes.disagreement - abs(wholes.mean), 0) AS noise,
        losses.loss,
        coalesce(stage_interval.margin, threshold.margin) AS margin,
        threshold.healthy_upper,
        least(
            greatest(
                -- Sums of what does not vary at all may differ from 0 by rounding; one group alone
                -- does not vary.
                (wholes.disagreement - wholes.mean ^ 2) * wholes.whole * (1 - 1 / wholes.n_groups)
                / nullif(greatest(wholes.between_groups, 0), 0),
                wholes.n_alike
            ),
            wholes.n_apart
        ) / dataset_power.widening ^ 2 AS n_effective
    FROM wholes
    INNER JOIN losses
        ON
            wholes.model_id = losses.model_id
            AND wholes.dataset_id = losses.dataset_id
            AND wholes.stage = losses.stage
    INNER JOIN dataset_power ON wholes.dataset_id = dataset_power.dataset_id
    LEFT JOIN stage_interval
        ON
            wholes.model_id = stage_interval.model_id
            AND wholes.dataset_id = stage_interval.dataset_id
            AND wholes.stage = stage_interval.stage
            AND stage_interval.quantity = 'loss'
    CROSS JOIN threshold
)

SELECT
    model_id,
    dataset_id,
    stage,
    score,
    n_samples,
    n_groups,
    n_effective,
    disagreement,
    margin,
    loss,
    smallest_loss(noise, n_effective, margin) AS detectable_loss,
    -- NULL also where numbers of a stranger go out of bounds.
    CASE
        WHEN stage = 'total' AND loss <= healthy_upper - 0.001
            THEN
                try_cast(
                    ceil(
                        settling_size(noise, loss, healthy_upper) * n_samples / n_effective
                    ) AS BIGINT
                )
        WHEN stage <> 'total' AND loss >= margin + 0.001
            THEN
                try_cast(
                    ceil(settling_size(noise, loss, margin) * n_samples / n_effective) AS BIGINT
                )
    END AS n_to_settle
FROM measured
