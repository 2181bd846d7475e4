-- One row per model, dataset, locus and readout. A readout of several slots is so many times
-- as wide as its layer. Samples are looked at one by one only where the locus does not
-- hold each of its dataset's samples exactly once: counting them costs more than all else.
WITH samples AS (
    SELECT DISTINCT
        dataset_id,
        sample_id
    FROM sample
),

whole_datasets AS (
    SELECT
        dataset_id,
        count(*) AS n_samples,
        sum(cast(hash(sample_id) AS HUGEINT)) AS sample_hash
    FROM samples
    GROUP BY dataset_id
),

loci AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        sum(n_rows) AS n_rows,
        sum(sample_hash) AS sample_hash,
        min(min_values) AS min_values,
        max(max_values) AS max_values,
        sum(n_not_finite) AS n_not_finite,
        min(not_finite_sample) AS not_finite_sample,
        sqrt(min(min_squared_norm)) AS min_norm,
        sqrt(max(max_squared_norm)) AS max_norm,
        min(min_first_value) = max(max_first_value)
        AND min(min_middle_value) = max(max_middle_value) AS has_constant_values
    FROM activation_part
    GROUP BY model_id, dataset_id, module, layer, readout
),

partial_loci AS (
    SELECT loci.*
    FROM loci
    LEFT JOIN whole_datasets ON loci.dataset_id = whole_datasets.dataset_id
    WHERE
        loci.n_rows IS DISTINCT FROM whole_datasets.n_samples
        OR loci.sample_hash IS DISTINCT FROM whole_datasets.sample_hash
),

counted AS (
    SELECT
        activation.model_id,
        activation.dataset_id,
        activation.module,
        activation.layer,
        activation.readout,
        count(DISTINCT activation.sample_id) AS n_samples,
        count(*) FILTER (WHERE samples.sample_id IS NULL) AS n_unknown,
        min(activation.sample_id) FILTER (WHERE samples.sample_id IS NULL) AS unknown_sample
    FROM activation
    SEMI JOIN partial_loci
        ON
            activation.model_id = partial_loci.model_id
            AND activation.dataset_id = partial_loci.dataset_id
            AND activation.module = partial_loci.module
            AND activation.layer = partial_loci.layer
            AND activation.readout = partial_loci.readout
    LEFT JOIN samples
        ON
            activation.dataset_id = samples.dataset_id
            AND activation.sample_id = samples.sample_id
    GROUP BY
        activation.model_id,
        activation.dataset_id,
        activation.module,
        activation.layer,
        activation.readout
)

SELECT
    loci.*,
    counted.unknown_sample,
    layer.width * coalesce(readout.slots, 1) AS width,
    coalesce(counted.n_samples, loci.n_rows) AS n_samples,
    coalesce(counted.n_unknown, 0) AS n_unknown
FROM loci
LEFT JOIN layer
    ON
        loci.model_id = layer.model_id
        AND loci.module = layer.module
        AND loci.layer = layer.layer
LEFT JOIN readout ON loci.readout = readout.name
LEFT JOIN counted
    ON
        loci.model_id = counted.model_id
        AND loci.dataset_id = counted.dataset_id
        AND loci.module = counted.module
        AND loci.layer = counted.layer
        AND loci.readout = counted.readout
