-- Every model that answered test samples of a dataset is on its leaderboard.
WITH answers AS (
    SELECT DISTINCT
        answer.model_id,
        answer.dataset_id
    FROM diagnosed_answer AS answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE sample.split = 'test'
)

SELECT
    answers.model_id,
    answers.dataset_id
FROM answers
ANTI JOIN mart_leaderboard
    ON
        answers.model_id = mart_leaderboard.model_id
        AND answers.dataset_id = mart_leaderboard.dataset_id
