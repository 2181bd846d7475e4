-- Grain: one row per model with a repair and dataset: what the repair brings on the scored samples.
--
-- Repairs are chosen on val alone (repair_choice), and the shares are of test: what of the loss of
-- its stage, and of the whole, comes back. The answers without a repair are those by the method of
-- the answers with it, where there are such: a repair that scores classes has no replies to be held
-- against replies. Intervals are those of `layerhouse compare`, and of today's numbers only; of a
-- loss that may be none, which has no interval where the gain has one, there is no share to tell. A
-- gain of accuracy without one of AUROC is calibration.
WITH answers AS (
    SELECT
        stage_signal.model_id,
        stage_signal.dataset_id,
        stage_signal.score,
        stage_signal.readout AS method,
        stage_signal.available_accuracy AS answered,
        stage_signal.n_test,
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
        model_id,
        dataset_id,
        stage,
        loss,
        CASE WHEN count(loss) OVER whole = 4 THEN sum(loss) OVER whole END AS total_loss
    FROM stage_loss
    WINDOW whole AS (PARTITION BY model_id, dataset_id)
),

paired AS (
    SELECT
        repair_choice.*,
        after.score,
        before.method <> after.method AND alike.method IS NOT NULL AS is_by_another,
        coalesce(alike.method, before.method) AS method_before,
        after.method AS method_after,
        CASE
            WHEN before.method <> after.method AND alike.method IS NOT NULL THEN alike.score_value
            ELSE before.answered
        END AS answered_before,
        after.answered AS answered_after,
        before.auroc AS auroc_before,
        after.auroc AS auroc_after
    FROM repair_choice
    INNER JOIN answers AS before
        ON
            repair_choice.base_model_id = before.model_id
            AND repair_choice.dataset_id = before.dataset_id
    INNER JOIN answers AS after
        ON
            repair_choice.model_id = after.model_id
            AND repair_choice.dataset_id = after.dataset_id
    LEFT JOIN answer_accuracy AS alike
        ON
            repair_choice.base_model_id = alike.model_id
            AND repair_choice.dataset_id = alike.dataset_id
            AND after.method = alike.method
            AND after.n_test = alike.n
            AND alike.split = 'test'
),

gains AS (
    SELECT
        paired.*,
        paired.answered_after - paired.answered_before AS gain,
        paired.auroc_after - paired.auroc_before AS auroc_gain,
        losses.loss AS stage_loss,
        losses.total_loss,
        CASE
            WHEN exceeds(losses.loss, threshold.margin)
                THEN (paired.answered_after - paired.answered_before) / losses.loss
        END AS stage_share,
        CASE
            WHEN exceeds(losses.total_loss, threshold.margin)
                THEN (paired.answered_after - paired.answered_before) / losses.total_loss
        END AS total_share,
        threshold.ranking_gain
    FROM paired
    LEFT JOIN losses
        ON
            paired.base_model_id = losses.model_id
            AND paired.dataset_id = losses.dataset_id
            AND paired.stage = losses.stage
    CROSS JOIN threshold
),

-- What each of the four numbers is, and where its interval stands.
numbers AS (
    SELECT
        gains.model_id,
        gains.base_model_id,
        gains.dataset_id,
        gains.score,
        named.what,
        CASE named.what
            WHEN 'stage_share' THEN gains.stage
            WHEN 'total_share' THEN 'total'
            ELSE 'answer'
        END AS stage,
        CASE named.what
            WHEN 'gain' THEN if(gains.is_by_another, 'gain', 'accuracy')
            WHEN 'auroc_gain' THEN 'auroc'
            ELSE 'recovered_share'
        END AS quantity,
        CASE named.what
            WHEN 'gain' THEN gains.gain
            WHEN 'auroc_gain' THEN gains.auroc_gain
            WHEN 'stage_share' THEN gains.stage_share
            ELSE gains.total_share
        END AS value
    FROM gains
    CROSS JOIN (VALUES ('gain'), ('auroc_gain'), ('stage_share'), ('total_share')) AS named (what)
),

bounds AS (
    SELECT
        numbers.model_id,
        numbers.base_model_id,
        numbers.dataset_id,
        max(pair_interval.lower) FILTER (WHERE numbers.what = 'gain') AS gain_lower,
        max(pair_interval.upper) FILTER (WHERE numbers.what = 'gain') AS gain_upper,
        max(pair_interval.lower) FILTER (WHERE numbers.what = 'auroc_gain') AS auroc_lower,
        max(pair_interval.upper) FILTER (WHERE numbers.what = 'auroc_gain') AS auroc_upper,
        max(pair_interval.lower) FILTER (WHERE numbers.what = 'stage_share') AS stage_share_lower,
        max(pair_interval.upper) FILTER (WHERE numbers.what = 'stage_share') AS stage_share_upper,
        max(pair_interval.lower) FILTER (WHERE numbers.what = 'total_share') AS total_share_lower,
        max(pair_interval.upper) FILTER (WHERE numbers.what = 'total_share') AS total_share_upper
    FROM numbers
    INNER JOIN pair_interval
        ON
            numbers.model_id = pair_interval.model_id
            AND numbers.base_model_id = pair_interval.base_model_id
            AND numbers.dataset_id = pair_interval.dataset_id
            AND numbers.score = pair_interval.score
            AND numbers.stage = pair_interval.stage
            AND numbers.quantity = pair_interval.quantity
            AND abs(numbers.value - pair_interval.point) <= 1e-9
    GROUP BY numbers.model_id, numbers.base_model_id, numbers.dataset_id
)

SELECT
    gains.model_id,
    gains.base_model_id,
    gains.dataset_id,
    gains.stage,
    gains.repair,
    gains.control,
    gains.n_parameters,
    gains.seconds,
    gains.score,
    gains.method_before,
    gains.method_after,
    gains.answered_before,
    gains.answered_after,
    gains.gain,
    bounds.gain_lower,
    bounds.gain_upper,
    gains.auroc_before,
    gains.auroc_after,
    gains.auroc_gain,
    bounds.auroc_lower,
    bounds.auroc_upper,
    gains.stage_loss,
    gains.total_loss,
    CASE
        WHEN bounds.gain_lower IS NULL OR bounds.stage_share_lower IS NOT NULL
            THEN gains.stage_share
    END AS stage_share,
    bounds.stage_share_lower,
    bounds.stage_share_upper,
    CASE
        WHEN bounds.gain_lower IS NULL OR bounds.total_share_lower IS NOT NULL
            THEN gains.total_share
    END AS total_share,
    bounds.total_share_lower,
    bounds.total_share_upper,
    gains.val_gain,
    gains.is_sufficient,
    gains.is_advised,
    gains.is_best_of_stage,
    -- Ranking that is better for certain is knowledge, however little of it.
    exceeds(bounds.gain_lower, 0)
    AND exceeds(gains.ranking_gain, gains.auroc_gain)
    AND NOT exceeds(coalesce(bounds.auroc_lower, 0), 0) AS is_calibration
FROM gains
LEFT JOIN bounds
    ON
        gains.model_id = bounds.model_id
        AND gains.base_model_id = bounds.base_model_id
        AND gains.dataset_id = bounds.dataset_id
