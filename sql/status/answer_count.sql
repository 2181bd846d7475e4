-- Grain: one row per (model, dataset, method): how many samples were answered, and for how many
-- several classes share the highest likelihood.
SELECT
    diagnosed_answer.model_id,
    diagnosed_answer.dataset_id,
    diagnosed_answer.method,
    count(*) AS n_samples,
    count(*) FILTER (WHERE likelihood_answer.n_best > 1) AS n_tied
FROM diagnosed_answer
LEFT JOIN likelihood_answer
    ON
        diagnosed_answer.model_id = likelihood_answer.model_id
        AND diagnosed_answer.dataset_id = likelihood_answer.dataset_id
        AND diagnosed_answer.sample_id = likelihood_answer.sample_id
        AND diagnosed_answer.method = 'likelihood'
        AND likelihood_answer.score = 'sum'
GROUP BY ALL
ORDER BY ALL
