-- The choices of a diagnosed answer so far, the one that counts first.
SELECT
    run_id,
    config
FROM run
WHERE command = 'diagnose-choice' AND model_id = $model AND dataset_id = $dataset
ORDER BY started_at DESC, run_id DESC
