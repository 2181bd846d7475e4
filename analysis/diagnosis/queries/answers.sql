-- The answers that a diagnosis can be about, by method and prompt, with the test samples of each.
SELECT
    answer.method,
    answer.prompt_id,
    count(*) FILTER (WHERE sample.split = 'test') AS n_test
FROM unseen_answer AS answer
INNER JOIN sample
    ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
WHERE
    answer.model_id = $model
    AND answer.dataset_id = $dataset
    AND answer.option_order = 'given'
    AND answer.image_control = 'own'
GROUP BY answer.method, answer.prompt_id
HAVING count(*) FILTER (WHERE sample.split = 'test') > 0
ORDER BY answer.method, answer.prompt_id
