-- A finished extraction leaves one answer per method, prompt, order of options and image it asked with and
-- sample it did not reject.
WITH answers AS (
    SELECT
        dataset_id,
        sample_id,
        run_id,
        row(model_id, dataset_id, method, prompt_id, option_order, image_control) AS asked
    FROM answer
),

wanted AS (
    SELECT
        answers.asked,
        max(coalesce(run.n_limit, dataset.n_samples)) AS n_wanted,
        max(dataset.n_samples) AS n_all
    FROM answers
    INNER JOIN finished_run AS run ON answers.run_id = run.run_id AND run.command = 'extract'
    INNER JOIN dataset ON answers.dataset_id = dataset.dataset_id
    GROUP BY answers.asked
),

given AS (
    SELECT
        asked,
        count(DISTINCT sample_id) AS n_samples
    FROM answers
    GROUP BY asked
),

rejected AS (
    SELECT
        answers.asked,
        count(DISTINCT rejected_sample.sample_id) AS n_rejected
    FROM answers
    INNER JOIN rejected_sample
        ON
            answers.run_id = rejected_sample.run_id
            AND answers.dataset_id = rejected_sample.dataset_id
    GROUP BY answers.asked
)

SELECT
    given.asked,
    given.n_samples,
    least(wanted.n_wanted, wanted.n_all) AS n_wanted
FROM given
INNER JOIN wanted ON given.asked = wanted.asked
LEFT JOIN rejected ON given.asked = rejected.asked
WHERE
    given.n_samples + coalesce(rejected.n_rejected, 0) < least(wanted.n_wanted, wanted.n_all)
