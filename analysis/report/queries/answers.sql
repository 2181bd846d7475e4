WITH draws AS (
    SELECT
        drawn.model_id,
        drawn.dataset_id,
        drawn.method,
        avg(drawn.agreement) AS agreement
    FROM reply_agreement AS drawn
    INNER JOIN diagnosed_answer AS answer
        ON
            drawn.model_id = answer.model_id
            AND drawn.dataset_id = answer.dataset_id
            AND drawn.sample_id = answer.sample_id
            AND drawn.method = answer.method
            AND drawn.prompt_id = answer.prompt_id
    INNER JOIN sample
        ON drawn.dataset_id = sample.dataset_id AND drawn.sample_id = sample.sample_id
    WHERE
        sample.split = 'test' AND drawn.option_order = 'given' AND drawn.image_control = 'own'
    GROUP BY drawn.model_id, drawn.dataset_id, drawn.method
)

SELECT
    answer_accuracy.method,
    answer_accuracy.n,
    answer_accuracy.accuracy,
    answer_accuracy.wilson_lower,
    answer_accuracy.wilson_upper,
    answer_accuracy.score_value,
    answer_accuracy.score_lower,
    answer_accuracy.score_upper,
    answer_accuracy.balanced_accuracy,
    answer_accuracy.macro_f1,
    answer_accuracy.unparsed_share,
    answer_accuracy.truncated_share,
    max(likelihood_accuracy.tied_share) FILTER (WHERE likelihood_accuracy.score = 'sum')
        AS tied_share,
    max(likelihood_accuracy.accuracy) FILTER (WHERE likelihood_accuracy.score = 'per_token')
        AS per_token_accuracy,
    max(likelihood_accuracy.accuracy) FILTER (WHERE likelihood_accuracy.score = 'pmi')
        AS pmi_accuracy,
    max(CASE WHEN answer_accuracy.method = 'likelihood' THEN mart_leaderboard.method_agreement END)
        AS method_agreement,
    max(draws.agreement) AS draw_agreement
FROM answer_accuracy
LEFT JOIN mart_leaderboard
    ON
        answer_accuracy.model_id = mart_leaderboard.model_id
        AND answer_accuracy.dataset_id = mart_leaderboard.dataset_id
LEFT JOIN draws
    ON
        answer_accuracy.model_id = draws.model_id
        AND answer_accuracy.dataset_id = draws.dataset_id
        AND answer_accuracy.method = draws.method
LEFT JOIN likelihood_accuracy
    ON
        answer_accuracy.model_id = likelihood_accuracy.model_id
        AND answer_accuracy.dataset_id = likelihood_accuracy.dataset_id
        AND answer_accuracy.split = likelihood_accuracy.split
        AND answer_accuracy.method = 'likelihood'
WHERE
    answer_accuracy.model_id = $model
    AND answer_accuracy.dataset_id = $dataset
    AND answer_accuracy.split = 'test'
GROUP BY ALL
ORDER BY answer_accuracy.method
