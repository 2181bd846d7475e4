-- Every token belongs to a layer of its model.
SELECT
    token_part.model_id,
    token_part.module,
    token_part.layer,
    sum(token_part.n_rows) AS n_vectors
FROM token_part
ANTI JOIN layer
    ON
        token_part.model_id = layer.model_id
        AND token_part.module = layer.module
        AND token_part.layer = layer.layer
GROUP BY token_part.model_id, token_part.module, token_part.layer
