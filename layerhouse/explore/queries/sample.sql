-- What a dataset says of one sample.
SELECT
    sample.sample_id,
    sample.uri,
    sample.class_index,
    class.label,
    sample.split,
    sample.group_id,
    sample.width,
    sample.height,
    sample_fold.fold
FROM sample
LEFT JOIN class
    ON sample.dataset_id = class.dataset_id AND sample.class_index = class.class_index
LEFT JOIN sample_fold
    ON
        sample.dataset_id = sample_fold.dataset_id
        AND sample.sample_id = sample_fold.sample_id
        AND sample_fold.repetition = 0
WHERE sample.dataset_id = $dataset AND sample.sample_id = $sample
