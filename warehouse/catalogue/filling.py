"""Fill the tables of a catalogue under construction with the rows of committed shards."""

import duckdb

from warehouse.lake import Commit, Lake, bookkeeping
from warehouse.schema import FACT_KEYS, PARTITIONS, migrations, quoted, refuse_newer, table_defaults


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
    """Read all of a table's shards at once; of rows that share a primary key the newest stays.

    Of facts, which have none, only where a commit says that it replaces some.
    """
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
    stored = _stored(table, _columns(con, table), [name for name, *_ in described])
    chosen = ", ".join(f'{value} AS "{name}"' for name, value in stored.items())
    key = _primary_key(con, table)
    replaced = any(table in commit.covers.get("replaces", ()) for commit in commits)
    if not key and not replaced:
        statement = f'INSERT INTO "{table}" BY NAME SELECT {chosen} FROM {source} AS r'
        con.execute(statement, {"files": paths})
        return
    names = key or FACT_KEYS[table]
    parted = ", ".join(stored[name] for name in names)
    newest = (
        f"SELECT {chosen} FROM {source} AS r "
        "INNER JOIN shard ON r.filename = $root || shard.path "
        "INNER JOIN commit_record AS c ON shard.commit_id = c.commit_id QUALIFY row_number() "
        f"OVER (PARTITION BY {parted} "
        "ORDER BY c.committed_at DESC, c.run_id DESC, c.n DESC, r.file_row_number DESC) = 1"
    )
    given = {"files": paths, "root": f"{lake.root}/"}
    if key:
        con.execute(f'INSERT OR REPLACE INTO "{table}" BY NAME {newest}', given)
        return
    same = " AND ".join(f'older."{name}" = newer."{name}"' for name in names)
    con.execute(f"CREATE TEMP TABLE newer AS {newest}", given)
    con.execute(f'DELETE FROM "{table}" AS older USING newer WHERE {same}')
    con.execute(f'INSERT INTO "{table}" BY NAME FROM newer')
    con.execute("DROP TABLE newer")


def _stored(table: str, columns: list[str], inside: list[str]) -> dict[str, str]:
    """What shards with the columns `inside` give for those of a table.

    Those that a later migration added are not in older shards: they are NULL, or their default.
    """
    hive, defaults = PARTITIONS.get(table, {}), table_defaults(table)
    held = {hive.get(name, name): f'r."{name}"' for name in inside}
    return {
        name: f"coalesce({held.get(name, 'NULL')}, {quoted(defaults[name])})"
        if name in defaults
        else held[name]
        for name in columns
        if name in held or name in defaults
    }


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
