-- No image is in two splits under different names (by its hash).
-- level: warning
SELECT
    dataset_id,
    sha256,
    list_sort(list(DISTINCT split)) AS splits,
    list_sort(list(sample_id))[:5] AS sample_ids
FROM sample
GROUP BY dataset_id, sha256
HAVING count(DISTINCT split) > 1
