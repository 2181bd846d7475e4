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
    scores.model_id,
    scores.dataset_id,
    loci.layer,
    loci.depth,
    scores.split,
    scores.n AS n_samples,
    scores.accuracy,
    scores.score,
    scores.score_value,
    scores.chance,
    scores.signal,
    scores.score_lower AS lower,
    scores.score_upper AS upper
FROM scores
INNER JOIN loci
    ON scores.model_id = loci.model_id AND scores.source_id = cast(loci.layer AS VARCHAR)
