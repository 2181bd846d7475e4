-- Grain: one row per (model, dataset, sample, method, prompt, order of options) that was asked about
-- the sample's own image: where the class that was named stood in the list, and where the true one
-- did, from 0.
--
-- Nobody knows the prompts of imported answers, so they are none of these. A prompt lists the classes
-- as the dataset has them, or the last one first; rotated:k puts the first k of that to the end.
WITH asked AS (
    SELECT
        *,
        CASE
            WHEN option_order = 'given' THEN 0
            ELSE cast(split_part(option_order, ':', 2) AS INTEGER)
        END AS rotation
    FROM unseen_answer
    WHERE image_control = 'own' AND NOT starts_with(method, 'imported:')
),

placed AS (
    SELECT
        asked.model_id,
        asked.dataset_id,
        asked.sample_id,
        asked.method,
        asked.prompt_id,
        asked.option_order,
        sample.split,
        sample.class_index,
        CASE WHEN asked.parsed THEN asked.predicted_class_index END AS predicted_class_index,
        coalesce(prompt.option_order, 'given') = 'reversed' AS is_reversed,
        asked.rotation,
        dataset.n_classes
    FROM asked
    INNER JOIN sample
        ON asked.dataset_id = sample.dataset_id AND asked.sample_id = sample.sample_id
    INNER JOIN dataset ON asked.dataset_id = dataset.dataset_id
    LEFT JOIN prompt ON asked.prompt_id = prompt.prompt_id
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    prompt_id,
    option_order,
    split,
    class_index,
    predicted_class_index,
    coalesce(class_index = predicted_class_index, FALSE) AS is_right,
    (
        CASE
            WHEN is_reversed THEN n_classes - 1 - predicted_class_index
            ELSE predicted_class_index
        END
        - rotation + n_classes
    ) % nullif(n_classes, 0) AS answered_position,
    (
        CASE WHEN is_reversed THEN n_classes - 1 - class_index ELSE class_index END
        - rotation + n_classes
    ) % nullif(n_classes, 0) AS true_position
FROM placed
