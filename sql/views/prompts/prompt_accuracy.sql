-- Grain: one row per (model, dataset, method, prompt, order of options, split) with answers about the
-- samples' own images.
--
-- first_share is how often the option listed first was named; first_true_share how often it was the
-- right one, which is what it would be without any preference for a place in answers that are right.
WITH counts AS (
    SELECT
        asked_answer.model_id,
        asked_answer.dataset_id,
        asked_answer.method,
        asked_answer.prompt_id,
        asked_answer.option_order,
        asked_answer.split,
        count(*) AS n,
        count(*) FILTER (WHERE asked_answer.is_right) AS hits,
        count(*) FILTER (WHERE asked_answer.predicted_class_index IS NULL) AS n_unparsed,
        count(*) FILTER (WHERE asked_answer.answered_position = 0) AS n_first,
        count(*) FILTER (WHERE asked_answer.true_position = 0) AS n_first_true
    FROM asked_answer
    GROUP BY ALL
),

class_counts AS (
    SELECT
        asked_answer.model_id,
        asked_answer.dataset_id,
        asked_answer.method,
        asked_answer.prompt_id,
        asked_answer.option_order,
        asked_answer.split,
        asked_answer.class_index,
        count(*) AS n
    FROM asked_answer
    GROUP BY ALL
),

chances AS (
    SELECT
        model_id,
        dataset_id,
        method,
        prompt_id,
        option_order,
        split,
        max(n) AS largest
    FROM class_counts
    GROUP BY ALL
)

SELECT
    counts.model_id,
    counts.dataset_id,
    counts.method,
    counts.prompt_id,
    counts.option_order,
    counts.split,
    counts.n,
    counts.hits / counts.n AS accuracy,
    wilson_lower(counts.hits, counts.n) AS wilson_lower,
    wilson_upper(counts.hits, counts.n) AS wilson_upper,
    chances.largest / counts.n AS chance,
    -- No better than chance: the interval of the accuracy reaches down to it.
    wilson_lower(counts.hits, counts.n) > chances.largest / counts.n AS is_understood,
    counts.n_unparsed / counts.n AS unparsed_share,
    counts.n_first / counts.n AS first_share,
    counts.n_first_true / counts.n AS first_true_share
FROM counts
INNER JOIN chances
    ON
        counts.model_id = chances.model_id
        AND counts.dataset_id = chances.dataset_id
        AND counts.method = chances.method
        AND counts.prompt_id = chances.prompt_id
        AND counts.option_order = chances.option_order
        AND counts.split = chances.split
