-- One row per model, dataset, locus, readout and run: what a single pass over all vectors tells.
-- The sum of a vector is finite exactly when all of its values are; two values stand for the whole
-- vector when asking whether it ever changes; the sum of hashes tells sets of samples apart.
WITH vectors AS (
    SELECT
        * EXCLUDE (vector),
        len(vector) AS n_values,
        vector[1] AS first_value,
        vector[len(vector) // 2 + 1] AS middle_value,
        CASE WHEN len(vector) = list_count(vector) THEN isfinite(list_sum(vector)) END
            AS is_finite,
        CASE WHEN len(vector) = list_count(vector) THEN list_dot_product(vector, vector) END
            AS squared_norm
    FROM activation
)

SELECT
    model_id,
    dataset_id,
    module,
    layer,
    readout,
    run_id,
    count(*) AS n_rows,
    sum(cast(hash(sample_id) AS HUGEINT)) AS sample_hash,
    min(n_values) AS min_values,
    max(n_values) AS max_values,
    count(*) FILTER (WHERE is_finite IS DISTINCT FROM TRUE) AS n_not_finite,
    min(sample_id) FILTER (WHERE is_finite IS DISTINCT FROM TRUE) AS not_finite_sample,
    min(squared_norm) AS min_squared_norm,
    max(squared_norm) AS max_squared_norm,
    min(first_value) AS min_first_value,
    max(first_value) AS max_first_value,
    min(middle_value) AS min_middle_value,
    max(middle_value) AS max_middle_value
FROM vectors
GROUP BY model_id, dataset_id, module, layer, readout, run_id
