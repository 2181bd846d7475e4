-- A probe's control is one of the known ones.
WITH probes AS (
    SELECT *
    FROM probe
)

SELECT
    probe_id,
    control
FROM probes
WHERE control NOT IN ('none', 'shuffled_labels')
