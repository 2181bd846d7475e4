-- No group (a patient) is in two splits.
SELECT
    dataset_id,
    group_id,
    list_sort(list(DISTINCT split)) AS splits,
    count(*) AS n_samples
FROM sample
GROUP BY dataset_id, group_id
HAVING count(DISTINCT split) > 1
