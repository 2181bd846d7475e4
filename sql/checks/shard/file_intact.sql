-- Every committed shard is in the lake with the size and the rows its commit recorded.
WITH shards AS (
    SELECT *
    FROM shard
)

SELECT
    shards.path,
    shards.commit_id,
    shards.n_bytes,
    found_shard.n_bytes AS found_bytes,
    shards.n_rows,
    found_shard.n_rows AS found_rows
FROM shards
LEFT JOIN found_shard ON shards.path = found_shard.path
WHERE
    shards.n_bytes IS DISTINCT FROM found_shard.n_bytes
    OR shards.n_rows IS DISTINCT FROM found_shard.n_rows
