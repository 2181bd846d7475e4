-- One row per model, dataset, locus, sample and run: what a single pass over all image tokens tells.
WITH tokens AS (
    SELECT
        * EXCLUDE (vector),
        len(vector) AS n_values,
        row * 65536 + "column" AS place,
        CASE WHEN len(vector) = list_count(vector) THEN isfinite(list_sum(vector)) END
            AS is_finite
    FROM token_activation
)

SELECT
    model_id,
    dataset_id,
    module,
    layer,
    sample_id,
    run_id,
    count(*) AS n_rows,
    count(DISTINCT token) AS n_tokens,
    max(token) AS last_token,
    count(*) FILTER (WHERE (row IS NULL) <> ("column" IS NULL) OR row < 0 OR "column" < 0)
        AS n_half_places,
    count(place) - count(DISTINCT place) AS n_shared_places,
    min(n_values) AS min_values,
    max(n_values) AS max_values,
    count(*) FILTER (WHERE is_finite IS DISTINCT FROM TRUE) AS n_not_finite
FROM tokens
GROUP BY model_id, dataset_id, module, layer, sample_id, run_id
