-- What the model was shown of each class; which images is decided by a hash of the name.
WITH ranked AS (
    SELECT
        class.class_index,
        class.label,
        class.phrase,
        sample.sample_id,
        sample.uri,
        row_number() OVER (
            PARTITION BY class.class_index ORDER BY md5(sample.sample_id), sample.sample_id
        ) AS place
    FROM sample
    INNER JOIN class
        ON sample.dataset_id = class.dataset_id AND sample.class_index = class.class_index
    WHERE class.dataset_id = $dataset
)

SELECT
    class_index,
    label,
    phrase,
    sample_id,
    uri
FROM ranked
WHERE place <= least($shown, 6) AND class_index < 20
ORDER BY class_index, place
