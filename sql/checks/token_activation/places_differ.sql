-- A token has a row and a column, which no other token of its sample has, or neither.
SELECT
    model_id,
    dataset_id,
    module,
    layer,
    sample_id,
    n_half_places,
    n_shared_places
FROM token_part
WHERE n_half_places > 0 OR n_shared_places > 0
