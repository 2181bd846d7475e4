-- Grain: one row per model, dataset, locus, readout and number of folds: every sample is scored
-- once, by a probe that saw nothing of its group. The dataset's own split plays no part, so nothing
-- of the diagnosis reads this view.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'fold'
)

SELECT
    f.model_id,
    f.dataset_id,
    l.depth,
    f.module,
    f.layer,
    f.readout,
    f.kind,
    f.n_folds,
    s.n,
    s.accuracy,
    s.balanced_accuracy,
    s.macro_f1,
    s.chance,
    s.signal,
    s.wilson_lower,
    s.wilson_upper
FROM scores AS s
INNER JOIN fold_probe AS f ON s.source_id = f.fold_probe_id
INNER JOIN layer AS l
    ON f.model_id = l.model_id AND f.module = l.module AND f.layer = l.layer
