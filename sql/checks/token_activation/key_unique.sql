-- No two rows are of the same token of a sample at one locus.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    sample_id,
    sum(n_rows) AS n_rows,
    max(n_tokens) AS n_tokens
FROM token_part
GROUP BY model_id, dataset_id, module, layer, sample_id
HAVING sum(n_rows) > max(n_tokens)
