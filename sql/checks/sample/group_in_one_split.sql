-- No group (a patient) is in two splits.
WITH samples AS (
    SELECT *
    FROM sample
)

SELECT
    dataset_id,
    group_id,
    list_sort(list(DISTINCT split)) AS splits,
    count(*) AS n_samples
FROM samples
GROUP BY dataset_id, group_id
HAVING count(DISTINCT split) > 1
