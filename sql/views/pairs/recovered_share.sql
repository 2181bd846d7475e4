-- Grain: one row per model with a repair and dataset: what the repair brings on the scored samples.
--
-- A repair is sufficient by val where it gains there at least 0.9 of what the best of the same
-- model's gains; the advised one is the sufficient one with the fewest trained parameters. That is
-- chosen on val alone, and the shares are of test: what of the loss of its stage, and of the whole,
-- comes back. A large repair makes good almost any damage, so which recovers most says little about
-- where the loss is; the cheapest sufficient one names it.
WITH answers AS (
    SELECT
        stage_signal.model_id,
        stage_signal.dataset_id,
        stage_signal.score,
        stage_signal.available_accuracy AS answered,
        answer_auroc.auroc
    FROM stage_signal
    LEFT JOIN answer_auroc
        ON
            stage_signal.model_id = answer_auroc.model_id
            AND stage_signal.dataset_id = answer_auroc.dataset_id
            AND answer_auroc.split = 'test'
    WHERE stage_signal.stage = 'answer'
),

losses AS (
    SELECT
        stage_loss.model_id,
        stage_loss.dataset_id,
        stage.stage,
        stage_loss.loss,
        sum(stage_loss.loss) OVER (PARTITION BY stage_loss.model_id, stage_loss.dataset_id)
            AS total_loss
    FROM stage_loss
    INNER JOIN stage ON stage_loss.failure_mode = stage.failure_mode
),

gains AS (
    SELECT
        mend.*,
        before.answered AS answered_before,
        after.answered AS answered_after,
        after.answered - before.answered AS gain,
        before.auroc AS auroc_before,
        after.auroc AS auroc_after,
        losses.loss AS stage_loss,
        losses.total_loss,
        mend.val_score - mend.val_score_before AS val_gain
    FROM mend
    INNER JOIN answers AS before
        ON mend.base_model_id = before.model_id AND mend.dataset_id = before.dataset_id
    INNER JOIN answers AS after
        ON mend.model_id = after.model_id AND mend.dataset_id = after.dataset_id
    LEFT JOIN losses
        ON
            mend.base_model_id = losses.model_id
            AND mend.dataset_id = losses.dataset_id
            AND mend.stage = losses.stage
    WHERE mend.score = after.score
),

compared AS (
    SELECT *
    FROM pair_interval
    WHERE stage = 'answer' AND quantity = 'accuracy'
),

sufficient AS (
    SELECT
        gains.*,
        gains.control = 'none'
        AND gains.val_gain > 0
        AND gains.val_gain >= 0.9 * max(gains.val_gain) FILTER (WHERE gains.control = 'none')
            OVER (PARTITION BY gains.base_model_id, gains.dataset_id) AS is_sufficient
    FROM gains
)

SELECT
    sufficient.model_id,
    sufficient.base_model_id,
    sufficient.dataset_id,
    sufficient.stage,
    sufficient.repair,
    sufficient.control,
    sufficient.n_parameters,
    sufficient.score,
    sufficient.answered_before,
    sufficient.answered_after,
    sufficient.gain,
    compared.lower AS gain_lower,
    compared.upper AS gain_upper,
    sufficient.auroc_before,
    sufficient.auroc_after,
    sufficient.stage_loss,
    sufficient.total_loss,
    CASE
        WHEN sufficient.stage_loss > threshold.margin THEN sufficient.gain / sufficient.stage_loss
    END AS stage_share,
    CASE
        WHEN sufficient.total_loss > threshold.margin THEN sufficient.gain / sufficient.total_loss
    END AS total_share,
    sufficient.val_gain,
    sufficient.is_sufficient,
    sufficient.is_sufficient
    AND row_number() OVER (
        PARTITION BY sufficient.base_model_id, sufficient.dataset_id, sufficient.is_sufficient
        ORDER BY sufficient.n_parameters ASC, sufficient.val_gain DESC, sufficient.model_id ASC
    ) = 1 AS is_advised,
    compared.lower > 0
    AND sufficient.auroc_after - sufficient.auroc_before < threshold.ranking_gain
        AS is_calibration
FROM sufficient
CROSS JOIN threshold
LEFT JOIN compared
    ON
        sufficient.model_id = compared.model_id
        AND sufficient.base_model_id = compared.base_model_id
        AND sufficient.dataset_id = compared.dataset_id
        AND sufficient.score = compared.score
        AND abs(sufficient.gain - compared.point) <= 1e-9
