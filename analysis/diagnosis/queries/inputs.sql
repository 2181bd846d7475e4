-- Everything a diagnosis rests on, in a fixed order: a change here makes its intervals stale.
SELECT
    'probe' AS source,
    probe_id AS name,
    run_id,
    n_test AS n
FROM scored_probe
WHERE model_id = $model AND dataset_id = $dataset AND control = 'none'
UNION ALL
SELECT
    'answer' AS source,
    method AS name,
    max(run_id) AS run_id,
    count(*) AS n
FROM diagnosed_answer
WHERE model_id = $model AND dataset_id = $dataset
GROUP BY method
UNION ALL
SELECT
    'baseline' AS source,
    baseline_id AS name,
    run_id,
    n_test AS n
FROM scored_baseline
WHERE dataset_id = $dataset
UNION ALL
SELECT
    'choice' AS source,
    concat_ws(' to ', coalesce(method, 'any'), prompt_id) AS name,
    '' AS run_id,
    0 AS n
FROM diagnosis_choice
WHERE
    model_id = $model
    AND dataset_id = $dataset
    AND (method IS NOT NULL OR prompt_id IS NOT NULL)
UNION ALL
-- Nothing where it is accuracy, so that what older versions found stays theirs.
SELECT
    'score' AS source,
    score AS name,
    '' AS run_id,
    0 AS n
FROM dataset
WHERE dataset_id = $dataset AND score <> 'accuracy'
UNION ALL
-- Nothing where nothing is left out; baselines are held against the rest.
SELECT
    'seen' AS source,
    'left out' AS name,
    '' AS run_id,
    count(*) AS n
FROM left_out_sample
WHERE model_id = $model AND dataset_id = $dataset
HAVING count(*) > 0
ORDER BY source, name
