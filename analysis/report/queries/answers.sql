SELECT
    method,
    n,
    accuracy,
    wilson_lower,
    wilson_upper,
    balanced_accuracy,
    macro_f1,
    unparsed_share,
    truncated_share
FROM answer_accuracy
WHERE model_id = $model AND dataset_id = $dataset AND split = 'test'
ORDER BY method
