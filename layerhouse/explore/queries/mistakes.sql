-- Grain: one row per class and what one model named instead, the most frequent first.
SELECT
    class_index,
    label,
    CASE WHEN answer_parsed THEN predicted_class_index ELSE -1 END AS answer_index,
    CASE WHEN answer_parsed THEN predicted_label END AS answer,
    count(*) AS samples
FROM mart_sample_outcomes
WHERE model_id = $model AND dataset_id = $dataset AND NOT answer_knows
GROUP BY ALL
ORDER BY samples DESC, class_index ASC, answer_index ASC
LIMIT $most
