-- One fault at a time, of the kinds whose stage is the truth, and the unmodified model.
WITH judged AS (
    SELECT
        coalesce(stage, 'none') AS injected,
        verdict,
        mean_pooled_verdict
    FROM fault_trial
    WHERE
        model_id = $model
        AND dataset_id = $dataset
        AND (
            fault IS NULL
            OR (
                destroying
                AND stage IS NOT NULL
                AND NOT contains(fault, '+')
                AND answer_cost >= 0.1
            )
        )
)

SELECT
    'diagnosis' AS reading,
    injected,
    verdict,
    count(*) AS n
FROM judged
GROUP BY injected, verdict
UNION ALL
SELECT
    'mean-pooled curves' AS reading,
    injected,
    mean_pooled_verdict AS verdict,
    count(*) AS n
FROM judged
GROUP BY injected, mean_pooled_verdict
ORDER BY reading, injected, verdict
