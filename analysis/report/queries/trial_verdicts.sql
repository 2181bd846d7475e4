-- One destroying fault at a time, where it cost enough to tell, and the unmodified model.
SELECT
    reading,
    coalesce(stage, 'none') AS injected,
    verdict,
    count(*) AS n
FROM fault_outcome
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND (trial_kind = 'healthy' OR (trial_kind = 'destroying' AND is_costly))
GROUP BY reading, injected, verdict
ORDER BY reading, injected, verdict
