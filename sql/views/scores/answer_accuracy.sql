-- Grain: one row per model, dataset, answering method and split. A reply that names no class counts
-- as wrong; unparsed_share says how many those are.
SELECT
    model_id,
    dataset_id,
    method,
    split,
    n,
    accuracy,
    balanced_accuracy,
    macro_f1,
    chance,
    signal,
    wilson_lower,
    wilson_upper,
    unparsed_share
FROM prediction_score
WHERE source = 'answer'
