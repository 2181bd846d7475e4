SELECT
    kind,
    stage,
    min(severity) AS lowest_tried,
    max(severity) AS highest_tried,
    min(severity) FILTER (WHERE is_reliable) AS reliable_from,
    arg_min(answer_cost, severity) FILTER (WHERE is_reliable) AS answer_cost
FROM fault_detection
WHERE model_id = $model AND dataset_id = $dataset AND trial_kind = 'destroying'
GROUP BY kind, stage
ORDER BY
    kind DESC,
    CASE stage WHEN 'vision' THEN 0 WHEN 'connector' THEN 1 WHEN 'llm' THEN 2 ELSE 3 END
