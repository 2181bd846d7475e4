-- Every model that answered test samples of a dataset is on its leaderboard.
WITH leaderboard AS (
    SELECT *
    FROM mart_leaderboard
),

answers AS (
    SELECT DISTINCT
        answer.model_id,
        answer.dataset_id
    FROM answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE sample.split = 'test'
)

SELECT
    answers.model_id,
    answers.dataset_id
FROM answers
ANTI JOIN leaderboard
    ON answers.model_id = leaderboard.model_id AND answers.dataset_id = leaderboard.dataset_id
