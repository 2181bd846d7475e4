SELECT
    model_id,
    CASE
        WHEN answer_knows THEN 'answered rightly'
        ELSE coalesce('lost at ' || lost_at, 'unknown')
    END AS outcome,
    count(*) AS samples
FROM mart_sample_outcomes
GROUP BY model_id, outcome
