-- Grain: one row per (model, dataset, prompt) answered by likelihood and in words on test, options as
-- the prompt lists them: how often both name the same class.
WITH answers AS (
    SELECT *
    FROM asked_answer
    WHERE split = 'test' AND option_order = 'given'
),

pairs AS (
    SELECT
        scored.model_id,
        scored.dataset_id,
        scored.prompt_id,
        coalesce(scored.predicted_class_index = said.predicted_class_index, FALSE) AS is_same
    FROM answers AS scored
    INNER JOIN answers AS said
        ON
            scored.model_id = said.model_id
            AND scored.dataset_id = said.dataset_id
            AND scored.prompt_id = said.prompt_id
            AND scored.sample_id = said.sample_id
    WHERE scored.method = 'likelihood' AND said.method = 'generate'
)

SELECT
    model_id,
    dataset_id,
    prompt_id,
    count(*) AS n,
    avg(CASE WHEN is_same THEN 1.0 ELSE 0.0 END) AS agreement
FROM pairs
GROUP BY ALL
