-- A finished run leaves one answer per method it asked with and sample it did not reject.
WITH runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
),

wanted AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.method,
        max(
            coalesce(
                cast(json_extract(runs.config, '$.selection.limit') AS BIGINT),
                dataset.n_samples
            )
        ) AS n_wanted
    FROM answer
    INNER JOIN runs ON answer.run_id = runs.run_id
    INNER JOIN dataset ON answer.dataset_id = dataset.dataset_id
    GROUP BY answer.model_id, answer.dataset_id, answer.method
),

given AS (
    SELECT
        model_id,
        dataset_id,
        method,
        count(DISTINCT sample_id) AS n_samples
    FROM answer
    GROUP BY model_id, dataset_id, method
),

rejected AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.method,
        count(DISTINCT rejected_sample.sample_id) AS n_rejected
    FROM answer
    INNER JOIN rejected_sample
        ON
            answer.run_id = rejected_sample.run_id
            AND answer.dataset_id = rejected_sample.dataset_id
    GROUP BY answer.model_id, answer.dataset_id, answer.method
)

SELECT
    given.model_id,
    given.dataset_id,
    given.method,
    given.n_samples,
    least(wanted.n_wanted, dataset.n_samples) AS n_wanted
FROM given
INNER JOIN wanted
    ON
        given.model_id = wanted.model_id
        AND given.dataset_id = wanted.dataset_id
        AND given.method = wanted.method
INNER JOIN dataset ON given.dataset_id = dataset.dataset_id
LEFT JOIN rejected
    ON
        given.model_id = rejected.model_id
        AND given.dataset_id = rejected.dataset_id
        AND given.method = rejected.method
WHERE
    given.n_samples + coalesce(rejected.n_rejected, 0)
    < least(wanted.n_wanted, dataset.n_samples)
