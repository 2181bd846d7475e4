-- A finished run leaves one vector per sample it did not reject, at every locus and readout.
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

rejected_samples AS (
    SELECT *
    FROM rejected_sample
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
),

rejected AS (
    SELECT
        parts.model_id,
        parts.dataset_id,
        parts.module,
        parts.layer,
        parts.readout,
        count(DISTINCT rejected_samples.sample_id) AS n_rejected
    FROM parts
    INNER JOIN rejected_samples
        ON
            parts.run_id = rejected_samples.run_id
            AND parts.dataset_id = rejected_samples.dataset_id
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
LEFT JOIN rejected
    ON
        checked_locus.model_id = rejected.model_id
        AND checked_locus.dataset_id = rejected.dataset_id
        AND checked_locus.module = rejected.module
        AND checked_locus.layer = rejected.layer
        AND checked_locus.readout = rejected.readout
WHERE
    checked_locus.n_samples + coalesce(rejected.n_rejected, 0)
    < least(wanted.n_wanted, datasets.n_samples)
