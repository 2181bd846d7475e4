-- A logit lens looks at a layer of the language model.
WITH loci AS (
    SELECT *
    FROM layer
    WHERE module = 'llm'
)

SELECT
    logit_lens.model_id,
    logit_lens.dataset_id,
    logit_lens.layer,
    logit_lens.sample_id
FROM logit_lens
LEFT JOIN loci ON logit_lens.model_id = loci.model_id AND logit_lens.layer = loci.layer
WHERE loci.layer IS NULL
