-- Grain: one row per (model, dataset, method, prompt, order of options, split) with answers about the
-- samples' own images.
--
-- first_share is how often the option listed first was named; first_true_share how often it was the
-- right one, which is what it would be without any preference for a place in answers that are right.
-- score_value and chance are by the dataset's score, as in `prediction_score`.
WITH class_counts AS (
    SELECT
        asked_answer.model_id,
        asked_answer.dataset_id,
        asked_answer.method,
        asked_answer.prompt_id,
        asked_answer.option_order,
        asked_answer.split,
        asked_answer.class_index,
        count(*) AS n,
        count(*) FILTER (WHERE asked_answer.is_right) AS hits,
        count(*) FILTER (WHERE asked_answer.predicted_class_index IS NULL) AS n_unparsed,
        count(*) FILTER (WHERE asked_answer.answered_position = 0) AS n_first,
        count(*) FILTER (WHERE asked_answer.true_position = 0) AS n_first_true
    FROM asked_answer
    GROUP BY ALL
),

counts AS (
    SELECT
        model_id,
        dataset_id,
        method,
        prompt_id,
        option_order,
        split,
        cast(sum(n) AS BIGINT) AS n,
        sum(hits) AS hits,
        sum(n_unparsed) AS n_unparsed,
        sum(n_first) AS n_first,
        sum(n_first_true) AS n_first_true,
        max(n) AS largest,
        count(*) AS n_classes,
        sum(1 / n) AS inverse_counts,
        avg(hits / n) AS balanced_accuracy
    FROM class_counts
    GROUP BY ALL
),

scored AS (
    SELECT
        counts.*,
        coalesce(dataset.score, 'accuracy') AS score,
        by_score(dataset.score, counts.balanced_accuracy, counts.hits / counts.n) AS score_value,
        by_score(dataset.score, 1 / counts.n_classes, counts.largest / counts.n) AS chance,
        by_score(
            dataset.score, counts.n_classes * counts.n_classes / counts.inverse_counts, counts.n
        ) AS n_effective
    FROM counts
    LEFT JOIN dataset ON counts.dataset_id = dataset.dataset_id
)

SELECT
    model_id,
    dataset_id,
    method,
    prompt_id,
    option_order,
    split,
    n,
    hits / n AS accuracy,
    wilson_lower(hits, n) AS wilson_lower,
    wilson_upper(hits, n) AS wilson_upper,
    score,
    score_value,
    wilson_lower(score_value * n_effective, n_effective) AS score_lower,
    wilson_upper(score_value * n_effective, n_effective) AS score_upper,
    chance,
    -- No better than chance: the interval of the score reaches down to it.
    exceeds(wilson_lower(score_value * n_effective, n_effective), chance) AS is_understood,
    n_unparsed / n AS unparsed_share,
    n_first / n AS first_share,
    n_first_true / n AS first_true_share
FROM scored
