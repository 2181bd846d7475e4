-- What stands for each stage, and the best baseline as the stage `reference`.
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
