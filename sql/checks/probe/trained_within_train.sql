-- A probe counts no more training, val and test samples than its dataset has in these splits.
-- Under folds all of them are trained on and chosen on, each in other folds.
WITH samples AS (
    SELECT
        *,
        dataset_id IN (SELECT sample_fold.dataset_id FROM sample_fold) AS is_folded
    FROM sample
),

sizes AS (
    SELECT
        dataset_id,
        count(*) FILTER (WHERE split = 'train' OR is_folded) AS n_train,
        count(*) FILTER (WHERE split = 'val' OR is_folded) AS n_val,
        count(*) FILTER (WHERE split = 'test') AS n_test
    FROM samples
    GROUP BY dataset_id
)

SELECT
    probe.probe_id,
    probe.dataset_id,
    probe.n_train,
    sizes.n_train AS train_samples,
    probe.n_val,
    sizes.n_val AS val_samples,
    probe.n_test,
    sizes.n_test AS test_samples
FROM probe
INNER JOIN sizes ON probe.dataset_id = sizes.dataset_id
WHERE
    probe.n_train NOT BETWEEN 1 AND sizes.n_train
    OR probe.n_val NOT BETWEEN 0 AND sizes.n_val
    OR probe.n_test NOT BETWEEN 0 AND sizes.n_test
