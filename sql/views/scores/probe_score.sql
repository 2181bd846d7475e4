-- Grain: one row per probe and split: the scores of its predictions. `probe_accuracy` adds those of
-- its probabilities, which take longer.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'probe'
)

SELECT
    p.probe_id,
    p.model_id,
    p.dataset_id,
    p.module,
    p.layer,
    p.readout,
    p.kind,
    p.control,
    p.seed,
    s.split,
    s.n,
    s.accuracy,
    s.balanced_accuracy,
    s.macro_f1,
    s.chance,
    s.signal,
    s.wilson_lower,
    s.wilson_upper
FROM scores AS s
INNER JOIN probe AS p ON s.source_id = p.probe_id
