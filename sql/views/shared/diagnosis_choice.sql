-- Grain: one row per (model, dataset) of which somebody chose the answer that is diagnosed
-- (`layerhouse diagnose --method`, `--prompt`). What is NULL is left to the rule. Each choice names
-- the one it replaces, so that the newest is known whatever the clocks of machines say.
WITH choices AS (
    SELECT
        run_id,
        model_id,
        dataset_id,
        started_at,
        json_extract_string(config, '$.method') AS method,
        json_extract_string(config, '$.prompt_id') AS prompt_id,
        json_extract_string(config, '$.replaces') AS replaces
    FROM run
    WHERE command = 'diagnose-choice' AND status = 'finished'
)

SELECT
    choices.model_id,
    choices.dataset_id,
    choices.run_id,
    choices.method,
    choices.prompt_id
FROM choices
ANTI JOIN choices AS later ON choices.run_id = later.replaces
-- Two machines may have chosen at once.
QUALIFY row_number() OVER (
    PARTITION BY choices.model_id, choices.dataset_id
    ORDER BY choices.started_at DESC, choices.run_id DESC
) = 1
