SELECT DISTINCT model_id
FROM loss_interval
WHERE dataset_id = $dataset AND list_contains($models, model_id) AND is_fresh
ORDER BY model_id
