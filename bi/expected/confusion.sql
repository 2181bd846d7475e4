SELECT
    label,
    coalesce(predicted_label, 'no class') AS named,
    count(*) AS samples
FROM mart_sample_outcomes
WHERE NOT answer_knows
GROUP BY label, predicted_label
