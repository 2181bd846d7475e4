-- No file of the lake holds anything of a sample that was removed: `layerhouse status --free` deletes
-- what does, and what lies in quarantine goes with that folder.
SELECT
    dataset_id,
    path,
    n_rows
FROM kept_sample
