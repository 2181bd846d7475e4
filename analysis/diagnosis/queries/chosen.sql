-- What stands for each stage, and the best baseline as the stage `reference`. Under folds each fold
-- has chosen for itself: what stands for a stage is then its `folds`.
WITH chosen AS (
    SELECT
        stage,
        module,
        layer,
        readout,
        kind
    FROM stage_signal
    WHERE model_id = $model AND dataset_id = $dataset
    UNION ALL
    SELECT
        'reference' AS stage,
        'baseline' AS module,
        NULL AS layer,
        architecture AS readout,
        kind
    FROM baseline_candidate
    WHERE dataset_id = $dataset AND rank = 1
),

evaluation AS (
    SELECT count(*) > 0 AS is_folded
    FROM sample_fold
    WHERE dataset_id = $dataset
)

SELECT
    chosen.stage,
    CASE
        WHEN NOT evaluation.is_folded OR chosen.stage = 'reference' THEN chosen.module ELSE 'folds'
    END AS module,
    CASE WHEN NOT evaluation.is_folded THEN chosen.layer END AS layer,
    CASE WHEN evaluation.is_folded THEN chosen.stage ELSE chosen.readout END AS readout,
    CASE WHEN evaluation.is_folded THEN 'folds' ELSE chosen.kind END AS kind
FROM chosen
CROSS JOIN evaluation
