-- Grain: one row per model, dataset, likelihood score and split: how often it names the true class.
--
-- The score sum is what answer_accuracy has as the method likelihood. A tie counts as its first
-- class, so accuracy depends on the order of classes for as much as tied_share.
SELECT
    likelihood_answer.model_id,
    likelihood_answer.dataset_id,
    likelihood_answer.score,
    sample.split,
    bool_and(likelihood_answer.counts_end) AS counts_end,
    count(*) AS n,
    count(*) FILTER (WHERE likelihood_answer.n_best > 1) AS n_tied,
    avg(cast(likelihood_answer.predicted_class_index = sample.class_index AS INTEGER)) AS accuracy,
    avg(cast(likelihood_answer.n_best > 1 AS INTEGER)) AS tied_share
FROM likelihood_answer
INNER JOIN sample
    ON
        likelihood_answer.dataset_id = sample.dataset_id
        AND likelihood_answer.sample_id = sample.sample_id
GROUP BY
    likelihood_answer.model_id,
    likelihood_answer.dataset_id,
    likelihood_answer.score,
    sample.split
