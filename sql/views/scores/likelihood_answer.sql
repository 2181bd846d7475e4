-- Grain: one row per model, dataset, sample answered by likelihood, and score: what it names.
--
-- Scores: sum is the log-likelihood of the phrase and its end (what the diagnosis takes), per_token
-- the same over the number of tokens (Brown et al. 2020), pmi the same less that of the phrase where
-- the prompt has no image (Holtzman et al. 2021). Rows from before ends were counted have a sum only.
-- Of equal scores the first class; n_best says how many there are.
WITH scores AS (
    SELECT
        diagnosed_answer.model_id,
        diagnosed_answer.dataset_id,
        diagnosed_answer.sample_id,
        side.score,
        diagnosed_answer.end_token IS NOT NULL AS counts_end,
        CASE side.score
            WHEN 'sum' THEN diagnosed_answer.label_logprobs
            WHEN 'per_token' THEN diagnosed_answer.label_logprobs_per_token
            ELSE diagnosed_answer.label_pmi
        END AS label_scores
    FROM diagnosed_answer
    CROSS JOIN (VALUES ('sum'), ('per_token'), ('pmi')) AS side (score)
    WHERE diagnosed_answer.method = 'likelihood'
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    score,
    counts_end,
    cast(list_position(label_scores, list_max(label_scores)) - 1 AS INTEGER)
        AS predicted_class_index,
    cast(
        array_length(list_filter(label_scores, LAMBDA x: x = list_max(label_scores))) AS INTEGER
    ) AS n_best
FROM scores
WHERE array_length(label_scores) > 0
