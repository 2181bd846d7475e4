-- A logit lens names the class whose log-probability is largest.
SELECT
    model_id,
    dataset_id,
    layer,
    sample_id
FROM logit_lens
WHERE
    NOT coalesce(
        label_logprobs[predicted_class_index + 1] >= list_max(label_logprobs), FALSE
    )
