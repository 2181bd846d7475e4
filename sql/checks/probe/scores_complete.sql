-- A probe of a finished run has one score per val and per test sample that it counted.
WITH runs AS (
    SELECT *
    FROM run
    WHERE status = 'finished'
)

SELECT
    probe.probe_id,
    probe.n_val,
    probe.n_test,
    coalesce(checked_logits.n_val, 0) AS n_val_scores,
    coalesce(checked_logits.n_test, 0) AS n_test_scores
FROM probe
INNER JOIN runs ON probe.run_id = runs.run_id
LEFT JOIN checked_logits
    ON
        probe.probe_id = checked_logits.classifier_id
        AND checked_logits.table_name = 'probe_logit'
WHERE
    probe.n_val <> coalesce(checked_logits.n_val, 0)
    OR probe.n_test <> coalesce(checked_logits.n_test, 0)
