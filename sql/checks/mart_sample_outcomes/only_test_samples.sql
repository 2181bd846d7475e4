-- Outcomes are told of test samples only.
SELECT
    mart_sample_outcomes.model_id,
    mart_sample_outcomes.dataset_id,
    mart_sample_outcomes.sample_id,
    sample.split
FROM mart_sample_outcomes
INNER JOIN sample
    ON
        mart_sample_outcomes.dataset_id = sample.dataset_id
        AND mart_sample_outcomes.sample_id = sample.sample_id
WHERE sample.split <> 'test'
