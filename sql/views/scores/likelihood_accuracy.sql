-- Grain: one row per model, dataset, likelihood score and split: how often it names the true class.
--
-- The score sum is what answer_accuracy has as the method likelihood; n_won and n_lost compare the
-- others with it sample by sample. A tie counts as its first class, so accuracy depends on the order
-- of classes for as much as tied_share.
WITH judged AS (
    SELECT
        likelihood_answer.*,
        sample.split,
        likelihood_answer.predicted_class_index = sample.class_index AS is_right,
        by_sum.predicted_class_index = sample.class_index AS is_right_by_sum
    FROM likelihood_answer
    INNER JOIN likelihood_answer AS by_sum
        ON
            likelihood_answer.model_id = by_sum.model_id
            AND likelihood_answer.dataset_id = by_sum.dataset_id
            AND likelihood_answer.sample_id = by_sum.sample_id
            AND by_sum.score = 'sum'
    INNER JOIN sample
        ON
            likelihood_answer.dataset_id = sample.dataset_id
            AND likelihood_answer.sample_id = sample.sample_id
)

SELECT
    model_id,
    dataset_id,
    score,
    split,
    bool_and(counts_end) AS counts_end,
    count(*) AS n,
    count(*) FILTER (WHERE n_best > 1) AS n_tied,
    avg(cast(is_right AS INTEGER)) AS accuracy,
    avg(cast(n_best > 1 AS INTEGER)) AS tied_share,
    count(*) FILTER (WHERE is_right AND NOT is_right_by_sum) AS n_won,
    count(*) FILTER (WHERE is_right_by_sum AND NOT is_right) AS n_lost
FROM judged
GROUP BY model_id, dataset_id, score, split
