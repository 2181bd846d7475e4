-- Grain: one row per (dataset, architecture, kind) of the baselines; rank 1 is the best on val.
--
-- What the task allows to a traditional classifier: scores are means over seeds, the choice
-- among architectures is made on val, test_accuracy is only reported.
WITH architectures AS (
    SELECT
        dataset_id,
        architecture,
        kind,
        count(DISTINCT baseline_id) AS n_seeds,
        max(n) FILTER (WHERE split = 'test') AS n_test,
        any_value(score) AS score,
        avg(score_value) FILTER (WHERE split = 'val') AS val_accuracy,
        avg(score_value) FILTER (WHERE split = 'test') AS test_accuracy
    FROM baseline_accuracy
    GROUP BY dataset_id, architecture, kind
)

SELECT
    dataset_id,
    architecture,
    kind,
    n_seeds,
    n_test,
    score,
    val_accuracy,
    test_accuracy,
    row_number() OVER (
        PARTITION BY dataset_id
        ORDER BY round(val_accuracy, 9) DESC NULLS LAST, architecture ASC, kind ASC
    ) AS rank
FROM architectures
WHERE test_accuracy IS NOT NULL
