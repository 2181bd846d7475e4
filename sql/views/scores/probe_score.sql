-- Grain: one row per probe and split: the scores of its predictions. `probe_accuracy` adds those of
-- its probabilities, which take longer.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'probe'
)

SELECT
    probe.probe_id,
    probe.model_id,
    probe.dataset_id,
    probe.module,
    probe.layer,
    probe.readout,
    probe.kind,
    probe.control,
    probe.seed,
    scores.split,
    scores.n,
    scores.accuracy,
    scores.balanced_accuracy,
    scores.macro_f1,
    scores.score,
    scores.score_value,
    scores.score_lower,
    scores.score_upper,
    scores.n_effective,
    scores.chance,
    scores.signal,
    scores.wilson_lower,
    scores.wilson_upper
FROM scores
INNER JOIN probe ON scores.source_id = probe.probe_id
