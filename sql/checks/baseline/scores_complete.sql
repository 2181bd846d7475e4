-- A baseline of a finished run has one score per val and per test sample that it counted.
WITH runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
)

SELECT
    baseline.baseline_id,
    baseline.n_val,
    baseline.n_test,
    coalesce(checked_logits.n_val, 0) AS n_val_scores,
    coalesce(checked_logits.n_test, 0) AS n_test_scores
FROM baseline
INNER JOIN runs ON baseline.run_id = runs.run_id
LEFT JOIN checked_logits
    ON
        baseline.baseline_id = checked_logits.classifier_id
        AND checked_logits.table_name = 'baseline_logit'
WHERE
    baseline.n_val <> coalesce(checked_logits.n_val, 0)
    OR baseline.n_test <> coalesce(checked_logits.n_test, 0)
