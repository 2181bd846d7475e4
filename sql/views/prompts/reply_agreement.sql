-- Grain: one row per answer by several drawn replies (model, dataset, sample, method, prompt, order of
-- options, image control): how many of them name the class that is the answer.
SELECT
    answer.model_id,
    answer.dataset_id,
    answer.sample_id,
    answer.method,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    answer.predicted_class_index,
    count(*) AS n_draws,
    count(*) FILTER (WHERE reply_draw.predicted_class_index IS NULL) AS n_unnamed,
    count(*) FILTER (WHERE reply_draw.finish_reason = 'length') AS n_truncated,
    count(*) FILTER (WHERE reply_draw.predicted_class_index = answer.predicted_class_index)
    / count(*) AS agreement
FROM answer
INNER JOIN reply_draw
    ON
        answer.model_id = reply_draw.model_id
        AND answer.dataset_id = reply_draw.dataset_id
        AND answer.sample_id = reply_draw.sample_id
        AND answer.method = reply_draw.method
        AND answer.prompt_id = reply_draw.prompt_id
        AND answer.option_order = reply_draw.option_order
        AND answer.image_control = reply_draw.image_control
GROUP BY ALL
