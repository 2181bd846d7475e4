-- A finished run leaves one vector per sample at every locus and readout it extracted.
WITH parts AS (
    SELECT *
    FROM activation_part
),

runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
),

datasets AS (
    SELECT *
    FROM dataset
),

wanted AS (
    SELECT
        parts.model_id,
        parts.dataset_id,
        parts.module,
        parts.layer,
        parts.readout,
        max(
            coalesce(
                cast(json_extract(runs.config, '$.selection.limit') AS BIGINT),
                datasets.n_samples
            )
        ) AS n_wanted
    FROM parts
    INNER JOIN runs ON parts.run_id = runs.run_id
    INNER JOIN datasets ON parts.dataset_id = datasets.dataset_id
    GROUP BY parts.model_id, parts.dataset_id, parts.module, parts.layer, parts.readout
)

SELECT
    checked_locus.model_id,
    checked_locus.dataset_id,
    checked_locus.module,
    checked_locus.layer,
    checked_locus.readout,
    checked_locus.n_samples,
    least(wanted.n_wanted, datasets.n_samples) AS n_wanted
FROM checked_locus
INNER JOIN wanted
    ON
        checked_locus.model_id = wanted.model_id
        AND checked_locus.dataset_id = wanted.dataset_id
        AND checked_locus.module = wanted.module
        AND checked_locus.layer = wanted.layer
        AND checked_locus.readout = wanted.readout
INNER JOIN datasets ON checked_locus.dataset_id = datasets.dataset_id
WHERE checked_locus.n_samples < least(wanted.n_wanted, datasets.n_samples)
