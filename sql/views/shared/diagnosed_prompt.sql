-- Grain: one row per (model, dataset) that was extracted: the prompt that its activations were
-- taken under, and so the one whose answers are diagnosed. A run that names none took the default.
SELECT
    model_id,
    dataset_id,
    coalesce(max(json_extract_string(config, '$.identity.prompt_id')), 'default') AS prompt_id
FROM run
WHERE command = 'extract'
GROUP BY model_id, dataset_id
