-- Grain: one row per (model, dataset, sample) answered by likelihood where val was answered too.
--
-- The label likelihoods calibrated: each class's log-likelihood minus its mean over the val split.
-- What is taken out is the model's preference for some words whatever the image shows (Zhang et al.
-- 2024; Zhao et al. 2021). Needs no labels, and nothing of test.
WITH answers AS (
    SELECT *
    FROM diagnosed_answer
    WHERE method = 'likelihood' AND len(label_logprobs) > 0
),

scores AS (
    SELECT
        answers.model_id,
        answers.dataset_id,
        answers.sample_id,
        sample.split,
        unnest(answers.label_logprobs) AS logprob,
        generate_subscripts(answers.label_logprobs, 1) - 1 AS class_index
    FROM answers
    INNER JOIN sample
        ON answers.dataset_id = sample.dataset_id AND answers.sample_id = sample.sample_id
),

preferences AS (
    SELECT
        model_id,
        dataset_id,
        class_index,
        avg(logprob) AS mean_logprob
    FROM scores
    WHERE split = 'val'
    GROUP BY model_id, dataset_id, class_index
)

SELECT
    scores.model_id,
    scores.dataset_id,
    scores.sample_id,
    -- Of equal scores the first class.
    cast(
        arg_max(
            scores.class_index,
            (scores.logprob - preferences.mean_logprob, -scores.class_index)
        ) AS INTEGER
    ) AS predicted_class_index
FROM scores
INNER JOIN preferences
    ON
        scores.model_id = preferences.model_id
        AND scores.dataset_id = preferences.dataset_id
        AND scores.class_index = preferences.class_index
GROUP BY scores.model_id, scores.dataset_id, scores.sample_id
