-- Grain: one row per model that has its base in the lake, and that base.
--
-- A model with a fault is compared with the same model without it, one with an adapter with the
-- model before, and one made from a general model (`model_base`) with that model; the last two hold
-- for models without a fault only.
WITH models AS (
    SELECT
        model_id,
        name,
        variant,
        -- What comes before the fault: nothing, or an adapter.
        coalesce(nullif(regexp_extract(variant, '^(.*?)[+]?fault:', 1), ''), 'base') AS unharmed,
        starts_with(variant, 'fault:') OR contains(variant, '+fault:') AS is_faulty
    FROM model
),

bases AS (
    SELECT
        name,
        base_name
    FROM model_base
)

SELECT
    models.model_id,
    healthy.model_id AS base_model_id,
    'fault' AS pair_kind
FROM models
INNER JOIN models AS healthy
    ON models.name = healthy.name AND models.unharmed = healthy.variant
WHERE models.is_faulty
UNION ALL
SELECT
    models.model_id,
    plain.model_id AS base_model_id,
    'adapter' AS pair_kind
FROM models
INNER JOIN models AS plain
    ON models.name = plain.name AND plain.variant = 'base'
WHERE starts_with(models.variant, 'adapter:') AND NOT models.is_faulty
UNION ALL
SELECT
    models.model_id,
    general.model_id AS base_model_id,
    'general_base' AS pair_kind
FROM models
INNER JOIN bases ON models.name = bases.name
INNER JOIN models AS general
    ON bases.base_name = general.name AND general.variant = 'base'
WHERE models.variant = 'base'
