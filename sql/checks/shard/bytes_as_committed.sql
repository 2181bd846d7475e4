-- Every byte of every committed shard is as its commit recorded it.
SELECT
    path,
    problem
FROM unsound_shard
