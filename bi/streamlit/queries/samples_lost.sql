SELECT
    model_id,
    CASE
        WHEN answer_knows THEN 'answered rightly'
        ELSE coalesce('lost at ' || lost_at, 'unknown')
    END AS outcome,
    count(*) AS samples
FROM mart_sample_outcomes
WHERE
    (len($datasets) = 0 OR list_contains($datasets, dataset_id))
    AND (len($models) = 0 OR list_contains($models, model_id))
GROUP BY model_id, outcome
ORDER BY model_id, outcome
