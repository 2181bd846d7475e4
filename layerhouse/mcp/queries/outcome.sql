-- What is known of one sample, and which stages of one model still knew its class.
SELECT
    sample.sample_id,
    class.label,
    sample.split,
    sample.width,
    sample.height,
    outcome.vision_knows,
    outcome.connector_knows,
    outcome.llm_knows,
    outcome.answer_knows,
    outcome.lost_at,
    outcome.image_quadrant
FROM sample
LEFT JOIN class
    ON sample.dataset_id = class.dataset_id AND sample.class_index = class.class_index
LEFT JOIN mart_sample_outcomes AS outcome
    ON
        sample.dataset_id = outcome.dataset_id
        AND sample.sample_id = outcome.sample_id
        AND outcome.model_id = $1
WHERE sample.dataset_id = $2 AND sample.sample_id = $3
