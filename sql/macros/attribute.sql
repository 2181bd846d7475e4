-- One row per sample that has the named attribute (an extra column of its dataset's manifest).
CREATE OR REPLACE MACRO attribute(in_name) AS TABLE
    SELECT
        dataset_id,
        sample_id,
        value
    FROM sample_attribute
    WHERE name = in_name AND value IS NOT NULL;
