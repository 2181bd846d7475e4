-- Whether another program took the states of a model on a dataset, and whether vectors are held.
SELECT
    EXISTS (
        SELECT 1
        FROM brought_states
        WHERE model_id = $model AND dataset_id = $dataset
    ) AS is_brought,
    EXISTS (
        SELECT 1
        FROM activation
        WHERE model_id = $model AND dataset_id = $dataset
    ) AS has_vectors
