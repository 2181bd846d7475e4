-- Grain: one row per pair of near_duplicate of the newest audit, with both samples as they are now.
WITH newest AS (
    SELECT near_duplicate.*
    FROM near_duplicate
    INNER JOIN dataset_audit
        ON
            near_duplicate.dataset_id = dataset_audit.dataset_id
            AND near_duplicate.run_id = dataset_audit.run_id
)

SELECT
    newest.dataset_id,
    newest.cluster,
    newest.sample_id,
    newest.other_sample_id,
    newest.kind,
    newest.correlation,
    newest.own_correlation,
    own.split,
    other.split AS other_split,
    own.group_id,
    other.group_id AS other_group_id,
    own.class_index,
    other.class_index AS other_class_index
FROM newest
INNER JOIN sample AS own
    ON newest.dataset_id = own.dataset_id AND newest.sample_id = own.sample_id
INNER JOIN sample AS other
    ON newest.dataset_id = other.dataset_id AND newest.other_sample_id = other.sample_id
