SELECT
    label,
    coalesce(predicted_label, 'no class') AS named,
    count(*) AS samples
FROM mart_sample_outcomes
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
    AND NOT answer_knows
GROUP BY label, predicted_label
ORDER BY label, named
