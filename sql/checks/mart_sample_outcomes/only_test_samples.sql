-- Outcomes are told of test samples only.
WITH outcomes AS (
    SELECT *
    FROM mart_sample_outcomes
),

samples AS (
    SELECT *
    FROM sample
)

SELECT
    outcomes.model_id,
    outcomes.dataset_id,
    outcomes.sample_id,
    samples.split
FROM outcomes
INNER JOIN samples
    ON outcomes.dataset_id = samples.dataset_id AND outcomes.sample_id = samples.sample_id
WHERE samples.split <> 'test'
