-- Grain: one row per (dataset with a baseline, seed, test sample): what stands for the stage reference
-- says of it.
--
-- The baseline that is best on val, once per seed; under folds what each fold has chosen, once per
-- repetition. Strata as in `fold_prediction`.
SELECT
    scored_baseline.dataset_id,
    scored_baseline.seed,
    baseline_logit.sample_id,
    by_score(dataset.score, sample.class_index, 0) AS stratum,
    baseline_logit.predicted_class_index = sample.class_index AS is_right
FROM baseline_candidate
INNER JOIN scored_baseline
    ON
        baseline_candidate.dataset_id = scored_baseline.dataset_id
        AND baseline_candidate.architecture = scored_baseline.architecture
        AND baseline_candidate.kind = scored_baseline.kind
INNER JOIN baseline_logit ON scored_baseline.baseline_id = baseline_logit.baseline_id
INNER JOIN sample
    ON
        scored_baseline.dataset_id = sample.dataset_id
        AND baseline_logit.sample_id = sample.sample_id
LEFT JOIN dataset ON scored_baseline.dataset_id = dataset.dataset_id
WHERE
    baseline_candidate.rank = 1
    AND baseline_logit.split = 'test'
    AND scored_baseline.dataset_id NOT IN (SELECT sample_fold.dataset_id FROM sample_fold)
UNION ALL
SELECT
    dataset_id,
    repetition AS seed,
    sample_id,
    stratum,
    is_right
FROM fold_prediction
WHERE stage = 'reference'
