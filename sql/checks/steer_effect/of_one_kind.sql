-- Known tokens are moved, some way, along a direction of a known source. Every shift is a number, and
-- random directions are as many everywhere.
WITH counted AS (
    SELECT
        *,
        max(array_length(random_shifts)) OVER () AS n_random
    FROM steer_effect
)

SELECT
    model_id,
    dataset_id,
    direction,
    module,
    layer,
    tokens,
    strength,
    class_index,
    sample_id
FROM counted
WHERE
    tokens NOT IN ('image', 'last', 'both')
    OR (module <> 'llm' AND tokens <> 'image')
    OR (direction NOT IN ('means', 'probe') AND direction NOT LIKE 'file:%')
    OR NOT (strength > 0 AND isfinite(strength))
    OR NOT (isfinite(shift) AND isfinite(sham_shift) AND isfinite(list_sum(random_shifts)))
    OR array_length(random_shifts) IS DISTINCT FROM n_random
