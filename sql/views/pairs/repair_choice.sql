-- Grain: one row per model with a repair and dataset that both it and the model without it answered:
-- what the repair gains on val, and whether it is advised.
--
-- A repair is sufficient where it gains at least 0.9 of what the best of the same model's gains; the
-- advised one is the sufficient one with the fewest trained parameters. A large repair makes good
-- almost any damage, so which recovers most says little about where the loss is; the cheapest
-- sufficient one names it. Chosen on val alone, by the method of answering that is judged on test,
-- where val was answered by it with and without the repair: training looks at likelihoods, and a
-- model that likelihoods show mended may reply as badly as before.
WITH answers AS (
    SELECT
        model_id,
        dataset_id,
        score,
        readout AS method
    FROM stage_signal
    WHERE stage = 'answer'
),

on_val AS (
    SELECT
        model_id,
        dataset_id,
        method,
        n,
        score_value
    FROM answer_accuracy
    WHERE split = 'val'
),

gains AS (
    SELECT
        mend.*,
        coalesce(
            val_after.score_value - val_before.score_value,
            mend.val_score - mend.val_score_before
        ) AS val_gain
    FROM mend
    INNER JOIN answers AS before
        ON mend.base_model_id = before.model_id AND mend.dataset_id = before.dataset_id
    INNER JOIN answers AS after
        ON mend.model_id = after.model_id AND mend.dataset_id = after.dataset_id
    LEFT JOIN on_val AS val_after
        ON
            mend.model_id = val_after.model_id
            AND mend.dataset_id = val_after.dataset_id
            AND after.method = val_after.method
    LEFT JOIN on_val AS val_before
        ON
            mend.base_model_id = val_before.model_id
            AND mend.dataset_id = val_before.dataset_id
            AND after.method = val_before.method
            AND val_after.n = val_before.n
    WHERE mend.score = after.score
),

judged AS (
    SELECT
        *,
        control = 'none'
        AND exceeds(val_gain, 0)
        AND NOT exceeds(0.9 * best_gain, val_gain) AS is_sufficient
    FROM (
        SELECT
            *,
            max(val_gain) FILTER (WHERE control = 'none')
                OVER (PARTITION BY base_model_id, dataset_id) AS best_gain
        FROM gains
    ) AS beside_best
)

SELECT
    model_id,
    base_model_id,
    dataset_id,
    stage,
    repair,
    control,
    n_parameters,
    seconds,
    val_gain,
    is_sufficient,
    is_sufficient
    AND row_number() OVER (
        PARTITION BY base_model_id, dataset_id, is_sufficient
        ORDER BY n_parameters ASC, val_gain DESC, model_id ASC
    ) = 1 AS is_advised,
    control = 'none'
    AND row_number() OVER (
        PARTITION BY base_model_id, dataset_id, stage, control
        ORDER BY val_gain DESC, n_parameters ASC, model_id ASC
    ) = 1 AS is_best_of_stage
FROM judged
