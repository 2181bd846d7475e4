-- Grain: one row per (model, dataset, test sample) that at least one stage was tried on.
--
-- Which stages still knew the class of one image: is what stands for the stage right?
WITH outcomes AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        stage,
        -- An answer that could not be parsed names no class, and so not the right one.
        coalesce(predicted_class_index = class_index, FALSE) AS knows
    FROM stage_prediction
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    bool_or(knows) FILTER (WHERE stage = 'vision') AS vision_knows,
    bool_or(knows) FILTER (WHERE stage = 'connector') AS connector_knows,
    bool_or(knows) FILTER (WHERE stage = 'llm') AS llm_knows,
    bool_or(knows) FILTER (WHERE stage = 'answer') AS answer_knows
FROM outcomes
GROUP BY model_id, dataset_id, sample_id
