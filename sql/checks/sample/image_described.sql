-- Every sample knows its image: a SHA-256 in hex, a width and a height.
SELECT
    dataset_id,
    sample_id,
    sha256,
    width,
    height
FROM sample
WHERE NOT regexp_full_match(sha256, '[0-9a-f]{64}') OR width < 1 OR height < 1
