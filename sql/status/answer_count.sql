-- Grain: one row per (model, dataset, method): how many samples were answered.
SELECT
    model_id,
    dataset_id,
    method,
    count(*) AS n_samples
FROM diagnosed_answer
GROUP BY model_id, dataset_id, method
ORDER BY model_id, dataset_id, method
