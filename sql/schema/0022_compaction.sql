-- Commits whose rows lie in shards that a compaction joined.
ALTER TABLE commit_record ADD COLUMN joined_by VARCHAR;

CREATE TABLE compaction (
    commit_id VARCHAR PRIMARY KEY,
    run_id VARCHAR NOT NULL,                   -- whose commits it joined
    n_commits INTEGER NOT NULL,
    committed_at TIMESTAMP NOT NULL,
    hash VARCHAR NOT NULL
);
