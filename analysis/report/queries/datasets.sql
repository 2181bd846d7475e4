SELECT
    dataset.title,
    dataset.n_samples,
    dataset.n_classes,
    dataset.licence,
    dataset.pixel_rule,
    dataset.score,
    count(sample.sample_id) AS n_test,
    count(DISTINCT sample.group_id) AS n_test_groups
FROM dataset
LEFT JOIN sample
    ON dataset.dataset_id = sample.dataset_id AND sample.split = 'test'
WHERE dataset.dataset_id = $dataset
GROUP BY ALL
