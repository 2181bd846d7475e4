-- Grain: one row per (model, dataset) with answers to test samples: which answer is diagnosed, to
-- which prompt, and on how many of the dataset's test samples, without those that the model saw in
-- training. Nobody knows the prompt of an answer that was brought from elsewhere.
WITH test_sizes AS (
    SELECT
        dataset_id,
        count(*) AS n_samples
    FROM sample
    WHERE split = 'test'
    GROUP BY dataset_id
),

left_out AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n_samples
    FROM left_out_sample
    GROUP BY model_id, dataset_id
)

SELECT
    stage_signal.model_id,
    stage_signal.dataset_id,
    stage_signal.readout AS method,
    CASE
        WHEN NOT starts_with(stage_signal.readout, 'imported:')
            THEN coalesce(diagnosis_choice.prompt_id, diagnosed_prompt.prompt_id, 'default')
    END AS prompt_id,
    stage_signal.n_test,
    test_sizes.n_samples - coalesce(left_out.n_samples, 0) AS n_samples,
    diagnosis_choice.method IS NOT NULL OR diagnosis_choice.prompt_id IS NOT NULL AS is_chosen
FROM stage_signal
LEFT JOIN test_sizes ON stage_signal.dataset_id = test_sizes.dataset_id
LEFT JOIN left_out
    ON
        stage_signal.model_id = left_out.model_id
        AND stage_signal.dataset_id = left_out.dataset_id
LEFT JOIN diagnosis_choice
    ON
        stage_signal.model_id = diagnosis_choice.model_id
        AND stage_signal.dataset_id = diagnosis_choice.dataset_id
LEFT JOIN diagnosed_prompt
    ON
        stage_signal.model_id = diagnosed_prompt.model_id
        AND stage_signal.dataset_id = diagnosed_prompt.dataset_id
WHERE stage_signal.stage = 'answer'
