-- A logit lens looks at a layer of the language model.
WITH lenses AS (
    SELECT *
    FROM logit_lens
),

loci AS (
    SELECT *
    FROM layer
    WHERE module = 'llm'
)

SELECT
    lenses.model_id,
    lenses.dataset_id,
    lenses.layer,
    lenses.sample_id
FROM lenses
LEFT JOIN loci ON lenses.model_id = loci.model_id AND lenses.layer = loci.layer
WHERE loci.layer IS NULL
