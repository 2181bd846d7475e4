SELECT
    kind,
    destroying,
    stage,
    severity,
    count(*) AS n_trials,
    avg(answer_cost) AS answer_cost,
    avg(expected_loss) AS expected_loss,
    avg(estimated_loss) AS estimated_loss,
    avg(
        CASE
            WHEN destroying AND stage IS NOT NULL
                THEN CASE
                    WHEN
                        (verdict = 'vision_quality' AND stage = 'vision')
                        OR (verdict = 'connector_fidelity' AND stage = 'connector')
                        OR (verdict = 'llm_comprehension' AND stage = 'llm')
                        OR (verdict = 'semantic_mapping' AND stage = 'answer')
                        THEN 1.0
                    ELSE 0.0
                END
        END
    ) AS named_share,
    string_agg(DISTINCT verdict, ', ' ORDER BY verdict) AS verdicts
FROM fault_trial
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND fault IS NOT NULL
    AND NOT contains(fault, '+')
GROUP BY kind, destroying, stage, severity
ORDER BY destroying DESC, kind, stage, severity
