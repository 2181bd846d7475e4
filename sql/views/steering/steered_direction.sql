-- Grain: one row per (model, dataset, direction, locus, tokens, strength, class, direction's number):
-- the mean shift of the class along one direction of a place, 0 being its own, all others random.
--
-- z puts it among all of the place, itself included: over their mean and standard deviation. A place
-- at which no direction does anything, as image tokens behind the last block, has no spread.
WITH steered AS (
    SELECT steer_effect.*
    FROM steer_effect
    INNER JOIN scored_sample
        ON
            steer_effect.dataset_id = scored_sample.dataset_id
            AND steer_effect.sample_id = scored_sample.sample_id
),

listed AS (
    SELECT
        model_id,
        dataset_id,
        direction,
        module,
        layer,
        tokens,
        strength,
        class_index,
        unnest(random_shifts) AS shift,
        generate_subscripts(random_shifts, 1) AS number
    FROM steered
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        direction,
        module,
        layer,
        tokens,
        strength,
        class_index,
        shift,
        0 AS number
    FROM steered
),

effects AS (
    SELECT
        model_id,
        dataset_id,
        direction,
        module,
        layer,
        tokens,
        strength,
        class_index,
        number,
        avg(shift) AS effect
    FROM listed
    GROUP BY model_id, dataset_id, direction, module, layer, tokens, strength, class_index, number
)

SELECT
    *,
    coalesce(
        (effect - avg(effect) OVER place) / nullif(stddev_pop(effect) OVER place, 0), 0
    ) AS z,
    max(number) OVER place AS n_random
FROM effects
WINDOW place AS (
    PARTITION BY model_id, dataset_id, direction, module, layer, tokens, strength, class_index
)
