-- Grain: one row per model, dataset, layer of the llm and split: how often the logit lens names the
-- class. The point where the answer is decided is where this curve rises.
WITH scores AS (
    SELECT *
    FROM prediction_score
    WHERE source = 'lens'
),

loci AS (
    SELECT *
    FROM layer
    WHERE module = 'llm'
)

SELECT
    s.model_id,
    s.dataset_id,
    l.layer,
    l.depth,
    s.split,
    s.n AS n_samples,
    s.accuracy,
    s.chance,
    s.signal,
    s.wilson_lower AS lower,
    s.wilson_upper AS upper
FROM scores AS s
INNER JOIN loci AS l
    ON s.model_id = l.model_id AND s.source_id = cast(l.layer AS VARCHAR)
