-- Every sample knows its image: a SHA-256 in hex, a width and a height.
WITH samples AS (
    SELECT *
    FROM sample
)

SELECT
    dataset_id,
    sample_id,
    sha256,
    width,
    height
FROM samples
WHERE NOT regexp_full_match(sha256, '[0-9a-f]{64}') OR width < 1 OR height < 1
