-- What the catalogue knows about itself: the migrations it was built with, the commits and shards
-- it holds, and the SQL its views came from. No agent writes these tables; a refresh does.

CREATE TABLE schema_migration (
    name VARCHAR PRIMARY KEY,
    hash VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL
);

CREATE TABLE catalogue_build (
    sql_hash VARCHAR NOT NULL,
    duckdb_version VARCHAR NOT NULL,
    built_at TIMESTAMP NOT NULL
);

CREATE TABLE commit_record (
    commit_id VARCHAR PRIMARY KEY,
    run_id VARCHAR NOT NULL,
    n INTEGER NOT NULL,
    command VARCHAR NOT NULL,
    model_id VARCHAR,
    dataset_id VARCHAR,
    committed_at TIMESTAMP NOT NULL,
    hash VARCHAR NOT NULL
);

CREATE TABLE shard (
    path VARCHAR PRIMARY KEY,    -- relative to the lake, so that a moved lake keeps working
    table_name VARCHAR NOT NULL,
    commit_id VARCHAR NOT NULL,
    n_rows BIGINT NOT NULL,
    n_bytes BIGINT NOT NULL,
    checksum VARCHAR NOT NULL
);
