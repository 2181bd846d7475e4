-- Grain: one row per (model, dataset) whose answers include replies that name no class, where a
-- probe stands for the llm stage: the share of answers that are such replies although that probe
-- knew the class, mean over seeds. Where the answer itself stands for the llm stage there is no
-- row: it knows nothing of what it did not say. known_truncated_share is the part that was cut. The
-- answers weigh as the dataset's score has it: all alike, or each class as much as another.
WITH answered AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.sample_id,
        answer.parsed,
        coalesce(answer.finish_reason = 'length', FALSE) AS is_cut,
        by_score(dataset.score, sample.class_index, 0) AS stratum
    FROM diagnosed_answer AS answer
    INNER JOIN stage_signal
        ON
            answer.model_id = stage_signal.model_id
            AND answer.dataset_id = stage_signal.dataset_id
            AND answer.method = stage_signal.readout
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    LEFT JOIN dataset ON answer.dataset_id = dataset.dataset_id
    WHERE stage_signal.stage = 'answer' AND sample.split = 'test'
),

llm_readings AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        avg(CASE WHEN is_right THEN 1.0 ELSE 0.0 END) AS right_share
    FROM seed_prediction
    WHERE stage = 'llm' AND module <> 'answer'
    GROUP BY model_id, dataset_id, sample_id
),

known AS (
    SELECT
        answered.*,
        CASE WHEN NOT answered.parsed THEN llm_readings.right_share END AS right_share
    FROM answered
    LEFT JOIN llm_readings
        ON
            answered.model_id = llm_readings.model_id
            AND answered.dataset_id = llm_readings.dataset_id
            AND answered.sample_id = llm_readings.sample_id
),

strata AS (
    SELECT
        model_id,
        dataset_id,
        stratum,
        count(right_share) AS n_read,
        avg(coalesce(right_share, 0)) AS known_share,
        avg(CASE WHEN is_cut THEN coalesce(right_share, 0) ELSE 0 END) AS known_truncated_share
    FROM known
    GROUP BY model_id, dataset_id, stratum
)

SELECT
    model_id,
    dataset_id,
    avg(known_share) AS known_share,
    avg(known_truncated_share) AS known_truncated_share
FROM strata
GROUP BY model_id, dataset_id
HAVING sum(n_read) > 0
