-- A likelihood answer scores every class of its dataset.
SELECT
    answer.model_id,
    answer.dataset_id,
    answer.sample_id,
    answer.method,
    dataset.n_classes,
    len(answer.label_logprobs) AS n_logprobs
FROM answer
INNER JOIN dataset ON answer.dataset_id = dataset.dataset_id
WHERE
    (answer.method = 'likelihood' OR answer.label_logprobs IS NOT NULL)
    AND len(answer.label_logprobs) IS DISTINCT FROM dataset.n_classes
