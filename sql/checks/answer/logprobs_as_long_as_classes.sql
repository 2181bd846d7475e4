-- A likelihood answer scores every class of its dataset.
WITH answers AS (
    SELECT *
    FROM answer
),

datasets AS (
    SELECT *
    FROM dataset
)

SELECT
    answers.model_id,
    answers.dataset_id,
    answers.sample_id,
    answers.method,
    datasets.n_classes,
    len(answers.label_logprobs) AS n_logprobs
FROM answers
INNER JOIN datasets ON answers.dataset_id = datasets.dataset_id
WHERE
    (answers.method = 'likelihood' OR answers.label_logprobs IS NOT NULL)
    AND len(answers.label_logprobs) IS DISTINCT FROM datasets.n_classes
