-- Grain: one row per (model, dataset, direction, locus, tokens, strength, class) that was written
-- into a model's states.
--
-- effect is the mean shift of the class along its direction, z puts it among those of random ones
-- (steered_direction). p_value holds for the whole family (all rows of a model, dataset and
-- direction) at once: by single-step max-T (Westfall and Young 1993) the share of draws, this one
-- among them, of which the furthest z of any row reaches this one. A draw deals each class a random
-- direction of its own, the same at all places and strengths, as a class has one. The interval is
-- over groups (Cochran 1977, 6.4). is_beyond where the class is owned there.
WITH groups AS (
    SELECT
        steer_effect.model_id,
        steer_effect.dataset_id,
        steer_effect.direction,
        steer_effect.module,
        steer_effect.layer,
        steer_effect.tokens,
        steer_effect.strength,
        steer_effect.class_index,
        scored_sample.group_id,
        count(*) AS n,
        sum(steer_effect.shift) AS shift,
        sum(steer_effect.sham_shift) AS sham_shift,
        count(*) FILTER (WHERE steer_effect.predicted_class_index = steer_effect.class_index)
            AS n_turned,
        count(*) FILTER (WHERE steer_effect.own_class_index = steer_effect.class_index) AS n_there
    FROM steer_effect
    INNER JOIN scored_sample
        ON
            steer_effect.dataset_id = scored_sample.dataset_id
            AND steer_effect.sample_id = scored_sample.sample_id
    GROUP BY ALL
),

cells AS (
    SELECT
        model_id,
        dataset_id,
        direction,
        module,
        layer,
        tokens,
        strength,
        class_index,
        cast(sum(n) AS BIGINT) AS n,
        count(*) AS n_groups,
        sum(shift) / sum(n) AS effect,
        sum(sham_shift) / sum(n) AS sham_effect,
        sum(n_turned) / sum(n) AS turned_share,
        sum(n_there) / sum(n) AS unsteered_share,
        -- The squares of what groups deviate from n times the effect, multiplied out.
        sum(shift ^ 2)
        - 2 * sum(shift) / sum(n) * sum(shift * n)
        + (sum(shift) / sum(n)) ^ 2 * sum(n ^ 2) AS squares
    FROM groups
    GROUP BY ALL
),

draws AS (
    SELECT
        model_id,
        dataset_id,
        direction,
        (number + class_index) % n_random AS draw,
        max(z) AS furthest
    FROM steered_direction
    WHERE number > 0
    GROUP BY ALL
),

random AS (
    SELECT
        model_id,
        dataset_id,
        direction,
        module,
        layer,
        tokens,
        strength,
        class_index,
        max(n_random) AS n_random,
        avg(effect) FILTER (WHERE number > 0) AS random_mean,
        stddev_samp(effect) FILTER (WHERE number > 0) AS random_deviation,
        max(effect) FILTER (WHERE number > 0) AS random_most,
        max(z) FILTER (WHERE number = 0) AS z
    FROM steered_direction
    GROUP BY ALL
),

reached AS (
    SELECT
        random.*,
        (1 + count(*) FILTER (WHERE draws.furthest >= random.z)) / (1 + count(*)) AS p_value
    FROM random
    INNER JOIN draws
        ON
            random.model_id = draws.model_id
            AND random.dataset_id = draws.dataset_id
            AND random.direction = draws.direction
    GROUP BY ALL
),

intervals AS (
    SELECT
        *,
        CASE
            WHEN n_groups > 1
                THEN 1.959964 * sqrt(greatest(squares, 0) * n_groups / (n_groups - 1)) / n
        END AS half
    FROM cells
)

SELECT
    intervals.model_id,
    intervals.dataset_id,
    intervals.direction,
    intervals.module,
    intervals.layer,
    layer.depth,
    intervals.tokens,
    intervals.strength,
    intervals.class_index,
    class.label,
    intervals.n,
    intervals.n_groups,
    intervals.effect,
    intervals.effect - intervals.half AS lower,
    intervals.effect + intervals.half AS upper,
    intervals.turned_share,
    intervals.unsteered_share,
    intervals.sham_effect,
    reached.n_random,
    reached.random_mean,
    reached.random_deviation,
    reached.random_most,
    reached.z,
    reached.p_value,
    reached.p_value <= 0.05
    AND intervals.effect > 0
    AND intervals.effect > intervals.sham_effect AS is_beyond
FROM intervals
INNER JOIN reached
    ON
        intervals.model_id = reached.model_id
        AND intervals.dataset_id = reached.dataset_id
        AND intervals.direction = reached.direction
        AND intervals.module = reached.module
        AND intervals.layer = reached.layer
        AND intervals.tokens = reached.tokens
        AND intervals.strength = reached.strength
        AND intervals.class_index = reached.class_index
INNER JOIN layer
    ON
        intervals.model_id = layer.model_id
        AND intervals.module = layer.module
        AND intervals.layer = layer.layer
INNER JOIN class
    ON intervals.dataset_id = class.dataset_id AND intervals.class_index = class.class_index
