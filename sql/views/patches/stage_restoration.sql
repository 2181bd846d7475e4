-- Grain: one row per (model, donor model, dataset, stage) that patches between models reach the ends
-- of: the part of the lost answer that comes back at this stage and not before it.
--
-- What comes back with the donor's states at the end of a stage was lost up to there; the part of a
-- stage is what comes back more than at the end of the stage before. The answer's part is what does
-- not come back at all. The four sum to 1. In the llm all patched tokens count: both, of a model
-- that looks across at the image the last one. Intervals as in restored_share.
WITH ends AS (
    SELECT
        patched_answer.model_id,
        patched_answer.donor_model_id,
        patched_answer.dataset_id,
        patched_answer.sample_id,
        any_value(patched_answer.group_id) AS group_id,
        any_value(patched_answer.score) AS score,
        any_value(sample.class_index) AS class_index,
        any_value(patched_answer.own) AS own,
        any_value(patched_answer.donor) AS donor,
        max(patched_answer.patched) FILTER (WHERE patched_answer.module = 'vision') AS vision,
        max(patched_answer.patched) FILTER (WHERE patched_answer.module = 'connector')
            AS connector,
        coalesce(
            max(patched_answer.patched) FILTER (
                WHERE patched_answer.module = 'llm' AND patched_answer.tokens = 'both'
            ),
            max(patched_answer.patched) FILTER (
                WHERE patched_answer.module = 'llm' AND patched_answer.tokens = 'last'
            )
        ) AS llm
    FROM patched_answer
    INNER JOIN sample
        ON
            patched_answer.dataset_id = sample.dataset_id
            AND patched_answer.sample_id = sample.sample_id
    WHERE patched_answer.ends_stage
    GROUP BY
        patched_answer.model_id,
        patched_answer.donor_model_id,
        patched_answer.dataset_id,
        patched_answer.sample_id
),

samples AS (
    SELECT
        *,
        -- Those patched at one end alone are not compared, and weigh nothing here.
        by_score(
            score,
            1 / count(*) OVER (PARTITION BY model_id, donor_model_id, dataset_id, class_index),
            1
        ) AS weight
    FROM ends
    WHERE vision IS NOT NULL AND connector IS NOT NULL AND llm IS NOT NULL
),

parts AS (
    SELECT
        samples.model_id,
        samples.donor_model_id,
        samples.dataset_id,
        samples.group_id,
        samples.score,
        samples.weight,
        samples.donor - samples.own AS lost,
        stage.stage,
        stage.stage_order,
        CASE stage.stage
            WHEN 'vision' THEN samples.vision - samples.own
            WHEN 'connector' THEN samples.connector - samples.vision
            WHEN 'llm' THEN samples.llm - samples.connector
            ELSE samples.donor - samples.llm
        END AS here
    FROM samples
    CROSS JOIN stage
),

groups AS (
    SELECT
        model_id,
        donor_model_id,
        dataset_id,
        stage,
        stage_order,
        group_id,
        any_value(score) AS score,
        sum(weight) AS weight,
        sum(weight * lost) AS lost,
        sum(weight * here) AS here
    FROM parts
    GROUP BY model_id, donor_model_id, dataset_id, stage, stage_order, group_id
),

ratios AS (
    SELECT
        model_id,
        donor_model_id,
        dataset_id,
        stage,
        stage_order,
        any_value(score) AS score,
        count(*) AS n_groups,
        sum(weight) AS weight,
        sum(lost) / sum(weight) AS gap,
        sum(here) / sum(weight) AS restored,
        sum(here) / nullif(greatest(sum(lost), 0), 0) AS share
    FROM groups
    GROUP BY model_id, donor_model_id, dataset_id, stage, stage_order
),

deviations AS (
    SELECT
        ratios.model_id,
        ratios.donor_model_id,
        ratios.dataset_id,
        ratios.stage,
        CASE
            WHEN any_value(ratios.n_groups) > 1
                THEN
                    sqrt(
                        sum((groups.lost - ratios.gap * groups.weight) ^ 2)
                        * any_value(ratios.n_groups / (ratios.n_groups - 1))
                    ) / any_value(ratios.weight)
        END AS gap_error,
        CASE
            WHEN any_value(ratios.n_groups) > 1
                THEN
                    sqrt(
                        sum((groups.here - ratios.share * groups.lost) ^ 2)
                        * any_value(ratios.n_groups / (ratios.n_groups - 1))
                    ) / any_value(ratios.gap * ratios.weight)
        END AS share_error
    FROM ratios
    INNER JOIN groups
        ON
            ratios.model_id = groups.model_id
            AND ratios.donor_model_id = groups.donor_model_id
            AND ratios.dataset_id = groups.dataset_id
            AND ratios.stage = groups.stage
    GROUP BY ratios.model_id, ratios.donor_model_id, ratios.dataset_id, ratios.stage
),

told AS (
    SELECT
        ratios.*,
        exceeds(ratios.gap - 1.959964 * deviations.gap_error, 0) AS is_better,
        deviations.share_error
    FROM ratios
    INNER JOIN deviations
        ON
            ratios.model_id = deviations.model_id
            AND ratios.donor_model_id = deviations.donor_model_id
            AND ratios.dataset_id = deviations.dataset_id
            AND ratios.stage = deviations.stage
)

SELECT
    told.model_id,
    told.donor_model_id,
    told.dataset_id,
    told.stage,
    told.stage_order,
    told.score,
    told.n_groups,
    told.gap,
    told.restored,
    CASE WHEN told.is_better THEN told.share END AS restored_share,
    CASE WHEN told.is_better THEN told.share - 1.959964 * told.share_error END AS lower,
    CASE WHEN told.is_better THEN told.share + 1.959964 * told.share_error END AS upper,
    own.loss,
    own.loss - donor.loss AS extra_loss
FROM told
LEFT JOIN stage_loss AS own
    ON
        told.model_id = own.model_id
        AND told.dataset_id = own.dataset_id
        AND told.stage = own.stage
LEFT JOIN stage_loss AS donor
    ON
        told.donor_model_id = donor.model_id
        AND told.dataset_id = donor.dataset_id
        AND told.stage = donor.stage
