-- What a published file says of one sample, whatever the model.
SELECT
    sample_id,
    any_value(uri) AS uri,
    any_value(class_index) AS class_index,
    any_value(label) AS label,
    any_value(group_id) AS group_id,
    NULL AS split,
    NULL AS width,
    NULL AS height,
    NULL AS fold
FROM mart_sample_outcomes
WHERE dataset_id = $dataset AND sample_id = $sample
GROUP BY sample_id
