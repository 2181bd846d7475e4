-- The names of scored samples that are most like one that there is not.
SELECT DISTINCT
    sample_id,
    jaro_winkler_similarity(sample_id, $sample) AS likeness
FROM mart_sample_outcomes
WHERE dataset_id = $dataset
ORDER BY likeness DESC, sample_id ASC
LIMIT 5
