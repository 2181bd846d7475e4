-- Grain: one row per model that has its base in the lake, and that base.
--
-- A model with a fault is compared with the same model without it, one with an adapter with the
-- model before, one with a repair with the model without it, faults and all, and one made from a
-- general model (`model_base`) with that model. Adapters and general models hold for models without
-- a fault only, and a repaired model is compared with what was repaired alone.
WITH models AS (
    SELECT
        model_id,
        name,
        variant,
        -- What comes before the fault: nothing, or an adapter.
        coalesce(nullif(regexp_extract(variant, '^(.*?)[+]?fault:', 1), ''), 'base') AS unharmed,
        starts_with(variant, 'fault:') OR contains(variant, '+fault:') AS is_faulty,
        starts_with(variant, 'mend:') AS is_mended,
        coalesce(nullif(regexp_replace(variant, '^mend:[^+]*[+]?', ''), ''), 'base') AS unmended
    FROM model
)

SELECT
    models.model_id,
    healthy.model_id AS base_model_id,
    'fault' AS pair_kind
FROM models
INNER JOIN models AS healthy
    ON models.name = healthy.name AND models.unharmed = healthy.variant
WHERE models.is_faulty AND NOT models.is_mended
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
    broken.model_id AS base_model_id,
    'mend' AS pair_kind
FROM models
INNER JOIN models AS broken
    ON models.name = broken.name AND models.unmended = broken.variant
WHERE models.is_mended
UNION ALL
SELECT
    models.model_id,
    general.model_id AS base_model_id,
    'general_base' AS pair_kind
FROM models
INNER JOIN model_base ON models.name = model_base.name
INNER JOIN models AS general
    ON model_base.base_name = general.name AND general.variant = 'base'
WHERE models.variant = 'base'
