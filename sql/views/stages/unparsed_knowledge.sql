-- Grain: one row per (model, dataset) whose answers include replies that name no class, where a
-- probe stands for the llm stage: the share of answers that are such replies although that probe
-- knew the class, mean over seeds. Where the answer itself stands for the llm stage there is no
-- row: it knows nothing of what it did not say. known_truncated_share is the part that was cut.
WITH unparsed AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.sample_id,
        sample.class_index,
        coalesce(answer.finish_reason = 'length', FALSE) AS is_cut,
        stage_signal.n_test AS n_answers
    FROM diagnosed_answer AS answer
    INNER JOIN stage_signal
        ON
            answer.model_id = stage_signal.model_id
            AND answer.dataset_id = stage_signal.dataset_id
            AND answer.method = stage_signal.readout
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE stage_signal.stage = 'answer' AND sample.split = 'test' AND NOT answer.parsed
),

llm_readings AS (
    SELECT
        *,
        max(seed) OVER (PARTITION BY model_id, dataset_id) + 1 AS n_seeds
    FROM seed_prediction
    WHERE stage = 'llm'
),

known AS (
    SELECT
        unparsed.model_id,
        unparsed.dataset_id,
        unparsed.is_cut,
        CASE WHEN llm_readings.is_right THEN 1.0 ELSE 0.0 END
        / llm_readings.n_seeds
        / unparsed.n_answers AS share
    FROM unparsed
    INNER JOIN llm_readings
        ON
            unparsed.model_id = llm_readings.model_id
            AND unparsed.dataset_id = llm_readings.dataset_id
            AND unparsed.sample_id = llm_readings.sample_id
    WHERE llm_readings.module <> 'answer'
)

SELECT
    model_id,
    dataset_id,
    sum(share) AS known_share,
    coalesce(sum(share) FILTER (WHERE is_cut), 0) AS known_truncated_share
FROM known
GROUP BY model_id, dataset_id
