-- The names of samples that are most like one that there is not.
SELECT sample_id
FROM sample
WHERE dataset_id = $1
ORDER BY jaro_winkler_similarity(sample_id, $2) DESC, sample_id ASC
LIMIT 5
