-- Which of a model's answers is diagnosed, of how many test samples, and how many replies were cut.
SELECT
    diagnosed_method.method,
    diagnosed_method.prompt_id,
    diagnosed_method.n_test,
    diagnosed_method.n_samples,
    coalesce(reply_ending.n_truncated, 0) AS n_truncated
FROM diagnosed_method
LEFT JOIN reply_ending
    ON
        diagnosed_method.model_id = reply_ending.model_id
        AND diagnosed_method.dataset_id = reply_ending.dataset_id
        AND diagnosed_method.method = reply_ending.method
        AND reply_ending.split = 'test'
WHERE diagnosed_method.model_id = $model AND diagnosed_method.dataset_id = $dataset
