SELECT
    answer_accuracy.method,
    answer_accuracy.n,
    answer_accuracy.accuracy,
    answer_accuracy.wilson_lower,
    answer_accuracy.wilson_upper,
    answer_accuracy.balanced_accuracy,
    answer_accuracy.macro_f1,
    answer_accuracy.unparsed_share,
    answer_accuracy.truncated_share,
    max(likelihood_accuracy.tied_share) FILTER (WHERE likelihood_accuracy.score = 'sum')
        AS tied_share,
    max(likelihood_accuracy.accuracy) FILTER (WHERE likelihood_accuracy.score = 'per_token')
        AS per_token_accuracy,
    max(likelihood_accuracy.accuracy) FILTER (WHERE likelihood_accuracy.score = 'pmi')
        AS pmi_accuracy
FROM answer_accuracy
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
