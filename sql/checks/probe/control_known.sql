-- A probe's control is one of the known ones.
SELECT
    probe_id,
    control
FROM probe
WHERE control NOT IN ('none', 'shuffled_labels')
