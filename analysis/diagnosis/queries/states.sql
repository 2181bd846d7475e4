-- Whether another program took the states of a model on a dataset, and whether vectors are held.
SELECT
    (
        SELECT count(*) > 0
        FROM brought_states
        WHERE model_id = $model AND dataset_id = $dataset
    ) AS is_brought,
    (
        SELECT count(*) > 0
        FROM activation
        WHERE model_id = $model AND dataset_id = $dataset
    ) AS has_vectors
