-- A probe counts no more training, val and test samples than its dataset has in these splits.
WITH classifiers AS (
    SELECT *
    FROM probe
),

samples AS (
    SELECT *
    FROM sample
),

sizes AS (
    SELECT
        dataset_id,
        count(*) FILTER (WHERE split = 'train') AS n_train,
        count(*) FILTER (WHERE split = 'val') AS n_val,
        count(*) FILTER (WHERE split = 'test') AS n_test
    FROM samples
    GROUP BY dataset_id
)

SELECT
    classifiers.probe_id,
    classifiers.dataset_id,
    classifiers.n_train,
    sizes.n_train AS train_samples,
    classifiers.n_val,
    sizes.n_val AS val_samples,
    classifiers.n_test,
    sizes.n_test AS test_samples
FROM classifiers
INNER JOIN sizes ON classifiers.dataset_id = sizes.dataset_id
WHERE
    classifiers.n_train NOT BETWEEN 1 AND sizes.n_train
    OR classifiers.n_val NOT BETWEEN 0 AND sizes.n_val
    OR classifiers.n_test NOT BETWEEN 0 AND sizes.n_test
