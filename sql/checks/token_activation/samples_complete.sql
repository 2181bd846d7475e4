-- A finished run leaves the tokens of every sample that it did not reject, at every locus.
WITH loci AS (
    SELECT
        token_part.model_id,
        token_part.dataset_id,
        token_part.module,
        token_part.layer,
        count(DISTINCT token_part.sample_id) AS n_samples,
        max(least(coalesce(run.n_limit, dataset.n_samples), dataset.n_samples))
        FILTER (WHERE run.run_id IS NOT NULL) AS n_wanted
    FROM token_part
    LEFT JOIN finished_run AS run ON token_part.run_id = run.run_id
    INNER JOIN dataset ON token_part.dataset_id = dataset.dataset_id
    GROUP BY token_part.model_id, token_part.dataset_id, token_part.module, token_part.layer
),

rejected AS (
    SELECT
        runs.model_id,
        runs.dataset_id,
        runs.module,
        runs.layer,
        count(DISTINCT rejected_sample.sample_id) AS n_rejected
    FROM (
        SELECT DISTINCT
            model_id,
            dataset_id,
            module,
            layer,
            run_id
        FROM token_part
    ) AS runs
    INNER JOIN rejected_sample
        ON
            runs.run_id = rejected_sample.run_id
            AND runs.dataset_id = rejected_sample.dataset_id
    GROUP BY runs.model_id, runs.dataset_id, runs.module, runs.layer
)

SELECT
    loci.model_id,
    loci.dataset_id,
    loci.module,
    loci.layer,
    loci.n_samples,
    loci.n_wanted
FROM loci
LEFT JOIN rejected
    ON
        loci.model_id = rejected.model_id
        AND loci.dataset_id = rejected.dataset_id
        AND loci.module = rejected.module
        AND loci.layer = rejected.layer
WHERE loci.n_samples + coalesce(rejected.n_rejected, 0) < loci.n_wanted
