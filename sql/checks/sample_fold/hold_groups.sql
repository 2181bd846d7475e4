-- Under folds every sample is in one fold of each repetition, and so is its whole group.
WITH repetitions AS (
    SELECT DISTINCT
        dataset_id,
        repetition
    FROM sample_fold
),

dealt AS (
    SELECT
        sample.dataset_id,
        sample.sample_id,
        sample.group_id,
        repetitions.repetition,
        sample_fold.fold
    FROM sample
    INNER JOIN repetitions ON sample.dataset_id = repetitions.dataset_id
    LEFT JOIN sample_fold
        ON
            sample.dataset_id = sample_fold.dataset_id
            AND sample.sample_id = sample_fold.sample_id
            AND repetitions.repetition = sample_fold.repetition
)

SELECT
    dataset_id,
    group_id,
    repetition,
    count(DISTINCT fold) AS n_folds,
    min(sample_id) AS sample_id
FROM dealt
GROUP BY dataset_id, group_id, repetition
HAVING count(DISTINCT fold) <> 1 OR count(fold) <> count(*)
