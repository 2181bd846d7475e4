-- Every token belongs to a sample of its dataset.
SELECT
    token_part.dataset_id,
    token_part.sample_id,
    sum(token_part.n_rows) AS n_vectors
FROM token_part
ANTI JOIN sample
    ON
        token_part.dataset_id = sample.dataset_id
        AND token_part.sample_id = sample.sample_id
GROUP BY token_part.dataset_id, token_part.sample_id
