-- A probe of a finished run has one score per val and per test sample that it counted.
WITH classifiers AS (
    SELECT *
    FROM probe
),

runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
)

SELECT
    classifiers.probe_id,
    classifiers.n_val,
    classifiers.n_test,
    coalesce(checked_logits.n_val, 0) AS n_val_scores,
    coalesce(checked_logits.n_test, 0) AS n_test_scores
FROM classifiers
INNER JOIN runs ON classifiers.run_id = runs.run_id
LEFT JOIN checked_logits
    ON
        classifiers.probe_id = checked_logits.classifier_id
        AND checked_logits.table_name = 'probe_logit'
WHERE
    classifiers.n_val <> coalesce(checked_logits.n_val, 0)
    OR classifiers.n_test <> coalesce(checked_logits.n_test, 0)
