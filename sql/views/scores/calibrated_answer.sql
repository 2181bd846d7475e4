-- Grain: one row per (model, dataset, sample) answered by likelihood where val was answered too; under
-- folds where samples of other folds were.
--
-- The label likelihoods calibrated: each class's log-likelihood minus its mean over the val split.
-- What is taken out is the model's preference for some words whatever the image shows (Zhang et al.
-- 2024; Zhao et al. 2021). Needs no labels, and nothing of test. Under folds the means are over the
-- samples of all other folds, averaged over the repetitions: in each of these nothing of a sample's
-- group is among them.
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

split_preferences AS (
    SELECT
        model_id,
        dataset_id,
        class_index,
        avg(logprob) AS mean_logprob
    FROM scores
    WHERE split = 'val'
    GROUP BY model_id, dataset_id, class_index
),

fold_sums AS (
    SELECT
        scores.model_id,
        scores.dataset_id,
        scores.class_index,
        sample_fold.repetition,
        sample_fold.fold,
        sum(scores.logprob) AS sum_logprob,
        count(*) AS n
    FROM scores
    INNER JOIN sample_fold
        ON
            scores.dataset_id = sample_fold.dataset_id
            AND scores.sample_id = sample_fold.sample_id
    GROUP BY ALL
),

fold_preferences AS (
    SELECT
        *,
        (sum(sum_logprob) OVER every_fold - sum_logprob)
        / nullif(sum(n) OVER every_fold - n, 0) AS mean_logprob
    FROM fold_sums
    WINDOW every_fold AS (PARTITION BY model_id, dataset_id, class_index, repetition)
),

preferences AS (
    SELECT
        fold_preferences.model_id,
        fold_preferences.dataset_id,
        sample_fold.sample_id,
        fold_preferences.class_index,
        avg(fold_preferences.mean_logprob) AS mean_logprob
    FROM fold_preferences
    INNER JOIN sample_fold
        ON
            fold_preferences.dataset_id = sample_fold.dataset_id
            AND fold_preferences.repetition = sample_fold.repetition
            AND fold_preferences.fold = sample_fold.fold
    GROUP BY ALL
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        NULL AS sample_id,
        class_index,
        mean_logprob
    FROM split_preferences
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
        AND scores.sample_id = coalesce(preferences.sample_id, scores.sample_id)
        AND scores.class_index = preferences.class_index
WHERE preferences.mean_logprob IS NOT NULL
GROUP BY scores.model_id, scores.dataset_id, scores.sample_id
