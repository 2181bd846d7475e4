-- Grain: one row per (model, dataset, sample, method): the answers that a diagnosis is about.
--
-- Those to the prompt that the activations were taken under, or to the one that was chosen, with
-- the options in its own order and the sample's own image, and imported ones, of whose prompt
-- nothing is known. Whatever counts answers counts these; answers to other prompts, rotated options
-- and image controls are in the table `answer` beside them and change no number here.
WITH own AS (
    SELECT *
    FROM unseen_answer
    WHERE option_order = 'given' AND image_control = 'own'
)

SELECT
    own.model_id,
    own.dataset_id,
    own.sample_id,
    own.method,
    own.predicted_class_index,
    own.label_logprobs,
    own.text,
    own.parsed,
    own.run_id,
    own.finish_reason,
    own.n_tokens,
    own.raw_text,
    own.prompt_id,
    own.label_logprobs_per_token,
    own.label_pmi,
    own.end_token
FROM own
LEFT JOIN diagnosed_prompt
    ON own.model_id = diagnosed_prompt.model_id AND own.dataset_id = diagnosed_prompt.dataset_id
LEFT JOIN diagnosis_choice
    ON own.model_id = diagnosis_choice.model_id AND own.dataset_id = diagnosis_choice.dataset_id
WHERE
    starts_with(own.method, 'imported:')
    OR own.prompt_id = coalesce(diagnosis_choice.prompt_id, diagnosed_prompt.prompt_id, 'default')
