-- Grain: one row per model, dataset and test sample: which stages still knew its class.
--
-- lost_at names the stage right after the last one that knew the class; NULL where the answer is
-- right, or where an answer or a probe is missing.
WITH answer_methods AS (
    SELECT *
    FROM stage_signal
    WHERE stage = 'answer'
)

SELECT
    stage_outcome.model_id,
    examination.model_name,
    examination.variant,
    stage_outcome.dataset_id,
    examination.dataset_title,
    stage_outcome.sample_id,
    sample.group_id,
    sample.uri,
    sample.class_index,
    c.label,
    answer.method AS answer_method,
    answer.predicted_class_index,
    p.label AS predicted_label,
    answer.text AS answer_text,
    answer.parsed AS answer_parsed,
    answer.finish_reason AS answer_finish,
    stage_outcome.vision_knows,
    stage_outcome.connector_knows,
    stage_outcome.llm_knows,
    stage_outcome.answer_knows,
    CASE
        WHEN
            stage_outcome.answer_knows
            OR stage_outcome.answer_knows IS NULL
            OR stage_outcome.llm_knows IS NULL
            OR stage_outcome.connector_knows IS NULL
            OR stage_outcome.vision_knows IS NULL
            THEN NULL
        WHEN stage_outcome.llm_knows THEN 'answer'
        WHEN stage_outcome.connector_knows THEN 'llm'
        WHEN stage_outcome.vision_knows THEN 'connector'
        ELSE 'vision'
    END AS lost_at,
    image_answer.changes AS changes_with_image,
    CASE
        WHEN image_answer.changes IS NULL THEN NULL
        WHEN image_answer.is_right AND image_answer.changes THEN 'right, looks'
        WHEN image_answer.is_right THEN 'right, does not look'
        WHEN image_answer.changes THEN 'wrong, looks'
        ELSE 'wrong, does not look'
    END AS image_quadrant,
    examination.built_on
FROM stage_outcome
LEFT JOIN
    answer_methods
    ON
        stage_outcome.model_id = answer_methods.model_id
        AND stage_outcome.dataset_id = answer_methods.dataset_id
LEFT JOIN diagnosed_answer AS answer
    ON
        stage_outcome.model_id = answer.model_id
        AND stage_outcome.dataset_id = answer.dataset_id
        AND stage_outcome.sample_id = answer.sample_id
        AND answer_methods.readout = answer.method
LEFT JOIN image_answer
    ON
        answer.model_id = image_answer.model_id
        AND answer.dataset_id = image_answer.dataset_id
        AND answer.sample_id = image_answer.sample_id
        AND answer.method = image_answer.method
        AND answer.prompt_id = image_answer.prompt_id
LEFT JOIN
    sample
    ON stage_outcome.dataset_id = sample.dataset_id AND stage_outcome.sample_id = sample.sample_id
LEFT JOIN class AS c ON sample.dataset_id = c.dataset_id AND sample.class_index = c.class_index
LEFT JOIN class AS p
    ON stage_outcome.dataset_id = p.dataset_id AND answer.predicted_class_index = p.class_index
LEFT JOIN examination
    ON
        stage_outcome.model_id = examination.model_id
        AND stage_outcome.dataset_id = examination.dataset_id
