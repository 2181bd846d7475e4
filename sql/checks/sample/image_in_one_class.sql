-- No image carries two labels (by its hash).
-- level: warning
SELECT
    dataset_id,
    sha256,
    list_sort(list(DISTINCT class_index)) AS class_indexes,
    list_sort(list(sample_id))[:5] AS sample_ids
FROM sample
GROUP BY dataset_id, sha256
HAVING count(DISTINCT class_index) > 1
