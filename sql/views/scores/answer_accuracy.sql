-- Grain: one row per model, dataset, answering method and split. A reply that names no class counts
-- as wrong; unparsed_share says how many those are that ended, truncated_share how many were cut.
SELECT
    prediction_score.model_id,
    prediction_score.dataset_id,
    prediction_score.method,
    prediction_score.split,
    prediction_score.n,
    prediction_score.accuracy,
    prediction_score.balanced_accuracy,
    prediction_score.macro_f1,
    prediction_score.score,
    prediction_score.score_value,
    prediction_score.score_lower,
    prediction_score.score_upper,
    prediction_score.chance,
    prediction_score.signal,
    prediction_score.wilson_lower,
    prediction_score.wilson_upper,
    prediction_score.unparsed_share
    - coalesce(reply_ending.n_truncated_unparsed, 0) / prediction_score.n AS unparsed_share,
    reply_ending.n_truncated / prediction_score.n AS truncated_share
FROM prediction_score
LEFT JOIN reply_ending
    ON
        prediction_score.model_id = reply_ending.model_id
        AND prediction_score.dataset_id = reply_ending.dataset_id
        AND prediction_score.method = reply_ending.method
        AND prediction_score.split = reply_ending.split
WHERE prediction_score.source = 'answer'
