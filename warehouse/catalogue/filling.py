"""Fill the tables of a catalogue under construction with the rows of committed shards."""

import duckdb

from warehouse.lake import Commit, Lake, bookkeeping
from warehouse.schema import PARTITIONS, migrations, refuse_newer


def fill(con: duckdb.DuckDBPyConnection, lake: Lake, commits: list[Commit]) -> None:
    """Add the rows of these commits, which must be later than all that the catalogue holds.

    Raises LayerhouseError for shards that are missing or were written by a newer Layerhouse.
    """
    newest = {commit.schema for commit in commits}
    refuse_newer(newest, migrations(), f"the lake {lake}", "written")
    lake.store.fetch({commit.commit_id: commit.shards for commit in commits})
    con.begin()
    _record(con, commits)
    for table in sorted({shard.table for commit in commits for shard in commit.shards}):
        if table != "activation":
            _fill_one(con, lake, table, commits)
    con.commit()


def _record(con: duckdb.DuckDBPyConnection, commits: list[Commit]) -> None:
    """Note which commits and shards the catalogue holds."""
    for table, rows in bookkeeping(commits).items():
        if rows:
            columns = ", ".join(f"unnest(${number + 1})" for number in range(len(rows[0])))
            con.execute(
                f"INSERT INTO {table} SELECT {columns}", [list(c) for c in zip(*rows, strict=True)]
            )


def _fill_one(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, commits: list[Commit]
) -> None:
    """Read all of a table's shards at once; of rows that share a primary key the newest stays."""
    paths = [
        f"{lake.root}/{shard.path}"
        for commit in commits
        for shard in commit.shards
        if shard.table == table
    ]
    source = (
        "read_parquet($files, union_by_name = true, filename = true, file_row_number = true, "
        "hive_partitioning = true, hive_types_autocast = false)"
    )
    described = con.execute(f"DESCRIBE FROM {source}", {"files": paths}).fetchall()
    # Columns that a later migration added are not in older shards and stay NULL.
    stored = {PARTITIONS.get(table, {}).get(name, name): name for name, *_ in described}
    chosen = ", ".join(
        f'r."{stored[name]}" AS "{name}"' for name in _columns(con, table) if name in stored
    )
    key = _primary_key(con, table)
    if not key:
        statement = f'INSERT INTO "{table}" BY NAME SELECT {chosen} FROM {source} AS r'
        con.execute(statement, {"files": paths})
        return
    con.execute(
        f'INSERT OR REPLACE INTO "{table}" BY NAME SELECT {chosen} FROM {source} AS r '
        "INNER JOIN shard ON r.filename = $root || shard.path "
        "INNER JOIN commit_record AS c ON shard.commit_id = c.commit_id "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(f'r.{name}' for name in key)} "
        "ORDER BY c.committed_at DESC, c.run_id DESC, c.n DESC, r.file_row_number DESC) = 1",
        {"files": paths, "root": f"{lake.root}/"},
    )


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    rows = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = $1 ORDER BY column_index",
        [table],
    ).fetchall()
    return [name for (name,) in rows]


def _primary_key(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    rows = con.execute(
        "SELECT constraint_column_names FROM duckdb_constraints() "
        "WHERE table_name = $1 AND constraint_type = 'PRIMARY KEY'",
        [table],
    ).fetchall()
    return rows[0][0] if rows else []
