-- A finished run leaves one vector per sample it did not reject, at every locus and readout.
WITH wanted AS (
    SELECT
        activation_part.model_id,
        activation_part.dataset_id,
        activation_part.module,
        activation_part.layer,
        activation_part.readout,
        max(coalesce(run.n_limit, dataset.n_samples)) AS n_wanted
    FROM activation_part
    INNER JOIN finished_run AS run ON activation_part.run_id = run.run_id
    INNER JOIN dataset ON activation_part.dataset_id = dataset.dataset_id
    GROUP BY
        activation_part.model_id,
        activation_part.dataset_id,
        activation_part.module,
        activation_part.layer,
        activation_part.readout
),

rejected AS (
    SELECT
        activation_part.model_id,
        activation_part.dataset_id,
        activation_part.module,
        activation_part.layer,
        activation_part.readout,
        count(DISTINCT rejected_sample.sample_id) AS n_rejected
    FROM activation_part
    INNER JOIN rejected_sample
        ON
            activation_part.run_id = rejected_sample.run_id
            AND activation_part.dataset_id = rejected_sample.dataset_id
    GROUP BY
        activation_part.model_id,
        activation_part.dataset_id,
        activation_part.module,
        activation_part.layer,
        activation_part.readout
)

SELECT
    checked_locus.model_id,
    checked_locus.dataset_id,
    checked_locus.module,
    checked_locus.layer,
    checked_locus.readout,
    checked_locus.n_samples,
    least(wanted.n_wanted, dataset.n_samples) AS n_wanted
FROM checked_locus
INNER JOIN wanted
    ON
        checked_locus.model_id = wanted.model_id
        AND checked_locus.dataset_id = wanted.dataset_id
        AND checked_locus.module = wanted.module
        AND checked_locus.layer = wanted.layer
        AND checked_locus.readout = wanted.readout
INNER JOIN dataset ON checked_locus.dataset_id = dataset.dataset_id
LEFT JOIN rejected
    ON
        checked_locus.model_id = rejected.model_id
        AND checked_locus.dataset_id = rejected.dataset_id
        AND checked_locus.module = rejected.module
        AND checked_locus.layer = rejected.layer
        AND checked_locus.readout = rejected.readout
WHERE
    checked_locus.n_samples + coalesce(rejected.n_rejected, 0)
    < least(wanted.n_wanted, dataset.n_samples)
