-- The tokens of a sample at a locus are numbered from 0 without a gap.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    sample_id,
    sum(n_rows) AS n_rows,
    max(last_token) AS last_token
FROM token_part
GROUP BY model_id, dataset_id, module, layer, sample_id
HAVING sum(n_rows) <> max(last_token) + 1
