-- Every committed shard is in the lake with the size and the rows its commit recorded.
SELECT
    shard.path,
    shard.commit_id,
    shard.n_bytes,
    found_shard.n_bytes AS found_bytes,
    shard.n_rows,
    found_shard.n_rows AS found_rows
FROM shard
LEFT JOIN found_shard ON shard.path = found_shard.path
WHERE
    shard.n_bytes IS DISTINCT FROM found_shard.n_bytes
    OR shard.n_rows IS DISTINCT FROM found_shard.n_rows
