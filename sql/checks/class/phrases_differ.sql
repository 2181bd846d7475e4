-- Classes of one dataset have different labels and different phrases.
SELECT
    dataset_id,
    count(*) AS n_classes,
    count(DISTINCT label) AS n_labels,
    count(DISTINCT lower(phrase)) AS n_phrases
FROM class
GROUP BY dataset_id
HAVING count(DISTINCT label) < count(*) OR count(DISTINCT lower(phrase)) < count(*)
