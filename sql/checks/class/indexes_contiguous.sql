-- Classes are numbered 0, 1, … without a gap, as logits are.
SELECT
    dataset_id,
    min(class_index) AS first_index,
    max(class_index) AS last_index,
    count(*) AS n_classes
FROM class
GROUP BY dataset_id
HAVING min(class_index) <> 0 OR max(class_index) <> count(*) - 1
