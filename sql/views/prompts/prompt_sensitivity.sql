-- Grain: one row per (model, dataset, method) that was asked on test in more than one way: how much
-- the way of asking decides.
--
-- Prompts are compared in the order that each lists the classes in, over those that are understood
-- (`prompt_accuracy`); where none is, or they were asked about different numbers of samples, there
-- is no mean, best or worst. flip_share is the share of samples whose answers under understood
-- prompts are not all the same class; turned_share the same under the rotations of one prompt, mean
-- over prompts: a model without a preference for places has none.
-- position_bias is how much more often than it was right the first option was named, over all
-- rotations of all prompts that were rotated through every place. Accuracies are by the dataset's
-- score.
WITH ways AS (
    SELECT *
    FROM prompt_accuracy
    WHERE split = 'test'
),

given AS (
    SELECT
        *,
        is_understood
        AND min(n) FILTER (WHERE is_understood) OVER (PARTITION BY model_id, dataset_id, method)
        = max(n) FILTER (WHERE is_understood) OVER (PARTITION BY model_id, dataset_id, method)
            AS is_compared
    FROM ways
    WHERE option_order = 'given'
),

prompts AS (
    SELECT
        model_id,
        dataset_id,
        method,
        count(*) AS n_prompts,
        count(*) FILTER (WHERE is_understood) AS n_understood,
        string_agg(prompt_id, ', ' ORDER BY prompt_id) FILTER (WHERE NOT is_understood)
            AS not_understood,
        any_value(score) AS score,
        avg(score_value) FILTER (WHERE is_compared) AS mean_accuracy,
        min(score_value) FILTER (WHERE is_compared) AS worst_accuracy,
        max(score_value) FILTER (WHERE is_compared) AS best_accuracy,
        min_by(prompt_id, (score_value, prompt_id)) FILTER (WHERE is_compared) AS worst_prompt,
        max_by(prompt_id, (score_value, prompt_id)) FILTER (WHERE is_compared) AS best_prompt
    FROM given
    GROUP BY ALL
),

answers AS (
    SELECT
        asked_answer.*,
        given.is_understood
    FROM asked_answer
    INNER JOIN given
        ON
            asked_answer.model_id = given.model_id
            AND asked_answer.dataset_id = given.dataset_id
            AND asked_answer.method = given.method
            AND asked_answer.prompt_id = given.prompt_id
    WHERE asked_answer.split = 'test'
),

flipped AS (
    SELECT
        model_id,
        dataset_id,
        method,
        sample_id,
        count(DISTINCT coalesce(predicted_class_index, -1)) > 1 AS is_flipped
    FROM answers
    WHERE option_order = 'given' AND is_understood
    GROUP BY ALL
    HAVING count(*) > 1
),

flips AS (
    SELECT
        model_id,
        dataset_id,
        method,
        avg(CASE WHEN is_flipped THEN 1.0 ELSE 0.0 END) AS flip_share
    FROM flipped
    GROUP BY ALL
),

turned AS (
    SELECT
        model_id,
        dataset_id,
        method,
        prompt_id,
        sample_id,
        count(DISTINCT coalesce(predicted_class_index, -1)) > 1 AS is_turned,
        count(*) AS n_orders,
        count(*) FILTER (WHERE answered_position = 0) / count(*)
        - count(*) FILTER (WHERE true_position = 0) / count(*) AS bias
    FROM answers
    GROUP BY ALL
    HAVING count(*) > 1
),

turns AS (
    SELECT
        model_id,
        dataset_id,
        method,
        max(n_orders) AS n_orders,
        avg(CASE WHEN is_turned THEN 1.0 ELSE 0.0 END) AS turned_share,
        avg(bias) AS position_bias
    FROM turned
    GROUP BY ALL
)

SELECT
    prompts.model_id,
    prompts.dataset_id,
    prompts.method,
    prompts.n_prompts,
    prompts.n_understood,
    prompts.not_understood,
    prompts.score,
    prompts.mean_accuracy,
    prompts.worst_prompt,
    prompts.worst_accuracy,
    prompts.best_prompt,
    prompts.best_accuracy,
    prompts.best_accuracy - prompts.worst_accuracy AS spread,
    flips.flip_share,
    turns.n_orders,
    turns.turned_share,
    turns.position_bias
FROM prompts
LEFT JOIN flips
    ON
        prompts.model_id = flips.model_id
        AND prompts.dataset_id = flips.dataset_id
        AND prompts.method = flips.method
LEFT JOIN turns
    ON
        prompts.model_id = turns.model_id
        AND prompts.dataset_id = turns.dataset_id
        AND prompts.method = turns.method
WHERE prompts.n_prompts > 1 OR turns.n_orders > 1
