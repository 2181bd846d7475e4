-- Every pair of models that has something to compare on a dataset.
SELECT DISTINCT
    model_id,
    base_model_id,
    dataset_id
FROM mart_model_pairs
ORDER BY dataset_id, base_model_id, model_id
