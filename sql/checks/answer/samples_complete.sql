-- A finished run leaves one answer per method it asked with and sample it did not reject.
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

rejected_samples AS (
    SELECT *
    FROM rejected_sample
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
),

rejected AS (
    SELECT
        answers.model_id,
        answers.dataset_id,
        answers.method,
        count(DISTINCT rejected_samples.sample_id) AS n_rejected
    FROM answers
    INNER JOIN rejected_samples
        ON
            answers.run_id = rejected_samples.run_id
            AND answers.dataset_id = rejected_samples.dataset_id
    GROUP BY answers.model_id, answers.dataset_id, answers.method
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
LEFT JOIN rejected
    ON
        given.model_id = rejected.model_id
        AND given.dataset_id = rejected.dataset_id
        AND given.method = rejected.method
WHERE
    given.n_samples + coalesce(rejected.n_rejected, 0)
    < least(wanted.n_wanted, datasets.n_samples)
