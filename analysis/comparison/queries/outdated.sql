-- How many stored intervals of a pair are of other differences than those of today by the same score: of
-- inputs that are the same, they were made by an older definition.
SELECT count(*) AS n
FROM pair_interval
INNER JOIN mart_model_pairs
    ON
        pair_interval.model_id = mart_model_pairs.model_id
        AND pair_interval.base_model_id = mart_model_pairs.base_model_id
        AND pair_interval.dataset_id = mart_model_pairs.dataset_id
        AND pair_interval.stage = mart_model_pairs.stage
        AND pair_interval.quantity = mart_model_pairs.quantity
        AND pair_interval.score = mart_model_pairs.score
WHERE
    pair_interval.model_id = $model
    AND pair_interval.base_model_id = $base
    AND pair_interval.dataset_id = $dataset
    AND mart_model_pairs.difference IS NOT NULL
    AND mart_model_pairs.difference_lower IS NULL
