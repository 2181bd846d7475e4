-- Grain: one row per (dataset, repetition, fold, sample) of a dataset with folds, and per (dataset,
-- train sample), with neither, of one with a split: what trains whatever scores the samples of the
-- fold, or of test.
--
-- All folds but the one that is scored and the next, on which penalties are chosen.
WITH folds AS (
    SELECT DISTINCT
        sample_fold.dataset_id,
        sample_fold.repetition,
        sample_fold.fold,
        (sample_fold.fold + 1) % dataset.n_folds AS next_fold
    FROM sample_fold
    INNER JOIN dataset ON sample_fold.dataset_id = dataset.dataset_id
)

SELECT
    folds.dataset_id,
    folds.repetition,
    folds.fold,
    sample_fold.sample_id
FROM folds
INNER JOIN sample_fold
    ON folds.dataset_id = sample_fold.dataset_id AND folds.repetition = sample_fold.repetition
WHERE sample_fold.fold NOT IN (folds.fold, folds.next_fold)
UNION ALL
SELECT
    dataset_id,
    NULL AS repetition,
    NULL AS fold,
    sample_id
FROM sample
WHERE split = 'train'
