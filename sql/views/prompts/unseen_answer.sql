-- Grain: as the table `answer`, one row per (model, dataset, sample, method, prompt, order of options,
-- image control): the answers that may be scored. Those about images that a model was trained on
-- stay in the table; they were given when nobody scored them, before a dataset was folded.
SELECT
    answer.model_id,
    answer.dataset_id,
    answer.sample_id,
    answer.method,
    answer.predicted_class_index,
    answer.label_logprobs,
    answer.text,
    answer.parsed,
    answer.run_id,
    answer.finish_reason,
    answer.n_tokens,
    answer.raw_text,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    answer.options,
    answer.label_logprobs_per_token,
    answer.label_pmi,
    answer.end_token
FROM answer
LEFT JOIN left_out_sample AS gone
    ON
        answer.model_id = gone.model_id
        AND answer.dataset_id = gone.dataset_id
        AND answer.sample_id = gone.sample_id
WHERE gone.sample_id IS NULL
