-- A finished run leaves one answer per sample and method it asked with.
WITH answers AS (
    SELECT *
    FROM answer
),

runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
),

datasets AS (
    SELECT *
    FROM dataset
),

wanted AS (
    SELECT
        answers.model_id,
        answers.dataset_id,
        answers.method,
        max(
            coalesce(
                cast(json_extract(runs.config, '$.selection.limit') AS BIGINT),
                datasets.n_samples
            )
        ) AS n_wanted
    FROM answers
    INNER JOIN runs ON answers.run_id = runs.run_id
    INNER JOIN datasets ON answers.dataset_id = datasets.dataset_id
    GROUP BY answers.model_id, answers.dataset_id, answers.method
),

given AS (
    SELECT
        model_id,
        dataset_id,
        method,
        count(DISTINCT sample_id) AS n_samples
    FROM answers
    GROUP BY model_id, dataset_id, method
)

SELECT
    given.model_id,
    given.dataset_id,
    given.method,
    given.n_samples,
    least(wanted.n_wanted, datasets.n_samples) AS n_wanted
FROM given
INNER JOIN wanted
    ON
        given.model_id = wanted.model_id
        AND given.dataset_id = wanted.dataset_id
        AND given.method = wanted.method
INNER JOIN datasets ON given.dataset_id = datasets.dataset_id
WHERE given.n_samples < least(wanted.n_wanted, datasets.n_samples)
