-- Every token's vector is as wide as its layer.
SELECT
    token_part.model_id,
    token_part.module,
    token_part.layer,
    layer.width,
    min(token_part.min_values) AS narrowest,
    max(token_part.max_values) AS widest
FROM token_part
INNER JOIN layer
    ON
        token_part.model_id = layer.model_id
        AND token_part.module = layer.module
        AND token_part.layer = layer.layer
WHERE
    token_part.min_values <> layer.width
    OR token_part.max_values <> layer.width
GROUP BY token_part.model_id, token_part.module, token_part.layer, layer.width
