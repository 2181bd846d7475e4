-- Vectors of one locus differ between samples (in norm or value). Injected faults are excused, and
-- layers of an llm where the self-check found that the last token has not seen the image yet
-- (mllama's cross-attention comes later, gemma3's first layer looks back a window). Of extractions
-- from before it looked, those at the last token that lie before one where it differs.
WITH loci AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        n_samples,
        max_norm AS norm,
        has_constant_values AND max_norm - min_norm <= 1e-6 * max_norm AS is_constant
    FROM checked_locus
    WHERE n_samples > 1 AND n_not_finite = 0
),

seen AS (
    SELECT
        *,
        min(layer) FILTER (WHERE NOT is_constant)
            OVER (PARTITION BY model_id, dataset_id, module, readout)
            AS first_layer_that_varies
    FROM loci
),

told AS (
    SELECT
        model_id,
        dataset_id,
        list(locus) AS loci
    FROM blind_locus
    GROUP BY ALL
)

SELECT
    seen.model_id,
    seen.dataset_id,
    seen.module,
    seen.layer,
    seen.readout,
    seen.n_samples,
    seen.norm
FROM seen
LEFT JOIN model ON seen.model_id = model.model_id
LEFT JOIN told ON seen.model_id = told.model_id AND seen.dataset_id = told.dataset_id
WHERE
    seen.is_constant
    AND coalesce(model.variant, 'base') NOT LIKE '%fault:%'
    AND NOT (
        seen.module = 'llm'
        AND seen.readout = 'last'
        AND CASE
            WHEN told.model_id IS NULL
                THEN coalesce(seen.layer < seen.first_layer_that_varies, FALSE)
            ELSE list_contains(told.loci, seen.module || '.' || seen.layer)
        END
    )
