-- Grain: one row per (model, dataset) of which somebody chose the answer that is diagnosed
-- (`layerhouse diagnose --method`, `--prompt`); the newest choice counts. What is NULL is left to
-- the rule.
SELECT
    model_id,
    dataset_id,
    json_extract_string(config, '$.method') AS method,
    json_extract_string(config, '$.prompt_id') AS prompt_id
FROM run
WHERE command = 'diagnose-choice' AND status = 'finished'
QUALIFY row_number() OVER (
    PARTITION BY model_id, dataset_id
    ORDER BY started_at DESC, run_id DESC
) = 1
