-- Grain: one row per model, dataset, locus, readout and number of folds: every sample is scored
-- once, by a probe that saw nothing of its group. The dataset's own split plays no part, so nothing
-- of the diagnosis reads this view.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'fold'
)

SELECT
    fold_probe.model_id,
    fold_probe.dataset_id,
    layer.depth,
    fold_probe.module,
    fold_probe.layer,
    fold_probe.readout,
    fold_probe.kind,
    fold_probe.n_folds,
    scores.n,
    scores.accuracy,
    scores.balanced_accuracy,
    scores.macro_f1,
    scores.score,
    scores.score_value,
    scores.score_lower,
    scores.score_upper,
    scores.chance,
    scores.signal,
    scores.wilson_lower,
    scores.wilson_upper
FROM scores
INNER JOIN fold_probe ON scores.source_id = fold_probe.fold_probe_id
INNER JOIN layer
    ON
        fold_probe.model_id = layer.model_id
        AND fold_probe.module = layer.module
        AND fold_probe.layer = layer.layer
