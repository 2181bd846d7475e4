"""Fill the tables of a catalogue under construction with the rows of committed shards."""

from typing import Any

import duckdb

from warehouse.errors import LayerhouseError
from warehouse.lake import (
    Commit,
    Lake,
    bookkeeping,
    done_twice,
    latest_dataset,
    parts,
)
from warehouse.schema import (
    FACT_KEYS,
    PARTITIONS,
    SAMPLE_COLUMNS,
    identifier,
    migrations,
    quoted,
    refuse_newer,
    table_defaults,
    table_key,
    table_schema,
)
from warehouse.storage import Shard
from warehouse.untrusted import UnfitError, check_shard_unpacked, memory
from warehouse.vocabulary import VECTOR_TABLES

SOURCE = (
    "read_parquet($files, union_by_name = true, filename = true, file_row_number = true, "
    "hive_partitioning = true, hive_types_autocast = false)"
)
FOOTERS = (
    "SELECT file_name, coalesce(sum(row_group_num_rows) FILTER (column_id = 0), 0), "
    "greatest(sum(abs(total_uncompressed_size)), 8 * sum(abs(num_values))), "
    "coalesce(sum(abs(num_values::DOUBLE) * abs(total_uncompressed_size)) "
    "FILTER (type = 'BYTE_ARRAY'), 0) "
    "FROM parquet_metadata($files) GROUP BY file_name"
)
"""Of shards, rows and what they take unpacked: a page may repeat one value any number of times. Of
texts the most that they can take, each being as long as all."""


def fill(con: duckdb.DuckDBPyConnection, lake: Lake, commits: list[Commit]) -> None:
    """Add the rows of these commits, which must be later than all that the catalogue holds.

    Raises LayerhouseError for shards that are missing, cannot be read or were written by a newer
    Layerhouse.
    """
    newest = {commit.schema for commit in commits}
    refuse_newer(newest, migrations(), f"the lake {lake}", "written")
    _refuse_doubled(lake, commits)
    lake.store.fetch({commit.commit_id: commit.shards for commit in commits})
    # Before the transaction: whoever looks for what cannot be read has rolled that back.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE part (filename TEXT, first_row BIGINT, "
        "stop_row BIGINT, committed_at TIMESTAMP, run_id TEXT, n INTEGER)"
    )
    _insert_rows(con, "part", [(f"{lake.root}/{path}", *rest) for path, *rest in parts(commits)])
    con.begin()
    _record(con, commits)
    for table in sorted({shard.table for commit in commits for shard in commit.shards}):
        if table not in VECTOR_TABLES:
            _fill_one(con, lake, table, commits)
    _leave_out_samples(con, commits)
    con.commit()


def _leave_out_samples(con: duckdb.DuckDBPyConnection, commits: list[Commit]) -> None:
    """Take out again what shards still hold of samples that were removed."""
    if not con.execute("FROM removed_sample LIMIT 1").fetchall():
        return
    for table in sorted({shard.table for commit in commits for shard in commit.shards}):
        held = table_schema(table).names
        # Logits, which name no dataset, went with what had been fitted.
        own = [c for c in SAMPLE_COLUMNS if c in held] if "dataset_id" in held else []
        for column in own if table not in VECTOR_TABLES else ():
            con.execute(
                f"DELETE FROM {identifier(table)} AS r USING removed_sample AS gone "
                f"WHERE r.dataset_id = gone.dataset_id AND sha256(r.{column}) = gone.mark"
            )
    work = [one for commit in commits for one in commit.work]
    counted = latest_dataset(work)
    for one in work:
        name = one.run["config"]["name"] if one.removes_samples else None
        if name in counted and counted[name].order < one.order:
            con.execute(
                "UPDATE dataset SET n_samples = n_samples - $1 WHERE dataset_id = $2",
                [len(one.removes_samples), name],
            )


def _refuse_doubled(lake: Lake, commits: list[Commit]) -> None:
    """One shard is of one commit, as a bucket's are named after their run alone, and one piece of
    work was done by one."""
    owner: dict[str, str] = {}
    for commit in commits:
        for shard in commit.shards:
            if owner.setdefault(shard.path, commit.commit_id) != commit.commit_id:
                raise LayerhouseError(
                    f"the commits {owner[shard.path]} and {commit.commit_id} of {lake} both name "
                    f"{shard.path}; take the commit record out that does not belong there"
                )
    for early, late in done_twice(commits):
        raise LayerhouseError(
            f"the commit {early.record} of {lake} is back after its work was done again by "
            f"{late.commit_id}; run `layerhouse status --repair` to set it aside"
        )


def _record(con: duckdb.DuckDBPyConnection, commits: list[Commit]) -> None:
    """Note which commits and shards the catalogue holds."""
    for table, rows in bookkeeping(commits).items():
        _insert_rows(con, table, rows)


def _insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        columns = ", ".join(f"unnest(${number + 1})" for number in range(len(rows[0])))
        con.execute(
            f"INSERT INTO {table} SELECT {columns}", [list(c) for c in zip(*rows, strict=True)]
        )


def _fill_one(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, commits: list[Commit]
) -> None:
    """Read all of a table's shards at once; what cannot be read so is looked for one by one."""
    shards = [shard for commit in commits for shard in commit.shards if shard.table == table]
    work = [one for commit in commits for one in commit.work]
    replaced = any(table in one.covers.get("replaces", ()) for one in work)
    try:
        _insert(con, lake, table, shards, replaced=replaced)
    except (duckdb.Error, UnfitError) as error:
        con.rollback()
        path, said = _blamed(con, lake, table, shards) or (shards[0].path, error)
        raise _unreadable(lake, path, str(said).strip().splitlines()[0], commits) from error


def _blamed(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, shards: list[Shard]
) -> tuple[str, Exception] | None:
    """The first shard that cannot be read alone, and why."""
    for shard in shards:
        con.begin()
        try:
            _insert(con, lake, table, [shard], replaced=False)
        except (duckdb.Error, UnfitError) as error:
            return shard.path, error
        finally:
            con.rollback()
    return None


def _unreadable(lake: Lake, path: str, reason: str, commits: list[Commit]) -> LayerhouseError:
    """What helps depends on whether the shard is still as it was committed."""
    owner, shard = next(
        (commit, shard) for commit in commits for shard in commit.shards if shard.path == path
    )
    if lake.store.problems([shard], verify=True):
        way = "run `layerhouse status --repair` and then the command that made it again"
    else:
        way = f"take out what wrote it with `layerhouse runs remove {owner.run_id}`"
    return LayerhouseError(
        f"the shard {path} of {lake} cannot be read ({reason}); restore it from a copy of the "
        f"lake, or {way}"
    )


def _insert(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, shards: list[Shard], *, replaced: bool
) -> None:
    """Of rows that share a primary key the newest stays.

    Of facts, which have none, only where a commit says that it replaces some.
    """
    files = {"files": [f"{lake.root}/{shard.path}" for shard in shards]}
    _refuse_swollen(con, lake, shards)
    stored = _stored(con, table, files)
    chosen = ", ".join(f"{where} AS {identifier(name)}" for name, where in stored.items())
    facts, target = table in FACT_KEYS, identifier(table)
    names = () if facts and not replaced else table_key(table)
    missing = [name for name in names if name not in stored]
    if missing or not chosen:
        raise UnfitError(f"it has no column {', '.join(missing) or 'of its table'}")
    if not names:
        con.execute(f"INSERT INTO {target} BY NAME SELECT {chosen} FROM {SOURCE} AS r", files)
        return
    parted = ", ".join(stored[name] for name in names)
    newest = (
        f"SELECT {chosen} FROM {SOURCE} AS r ASOF LEFT JOIN part "
        "ON r.filename = part.filename AND r.file_row_number >= part.first_row "
        f"QUALIFY row_number() OVER (PARTITION BY {parted} ORDER BY "
        "part.committed_at DESC, part.run_id DESC, part.n DESC, r.file_row_number DESC) = 1"
    )
    if not facts:
        con.execute(f"INSERT OR REPLACE INTO {target} BY NAME {newest}", files)
        return
    same = " AND ".join(f"older.{identifier(n)} = newer.{identifier(n)}" for n in names)
    con.execute(f"CREATE TEMP TABLE newer AS {newest}", files)
    con.execute(f"DELETE FROM {target} AS older USING newer WHERE {same}")
    con.execute(f"INSERT INTO {target} BY NAME FROM newer")
    con.execute("DROP TABLE newer")


def _refuse_swollen(con: duckdb.DuckDBPyConnection, lake: Lake, shards: list[Shard]) -> None:
    """Raise UnfitError for a shard of other rows than its commit says, or of more than the memory
    is for. Nothing but footers is read for that, and texts that might be too long in all."""
    files = {f"{lake.root}/{shard.path}": shard for shard in shards}
    told = con.execute(FOOTERS, {"files": list(files)}).fetchall()
    found = {path: sizes for path, *sizes in told}
    for path, shard in files.items():
        rows, n_bytes, texts = found.get(path, (0, 0, 0))
        if rows != shard.rows:
            raise UnfitError(f"it has {rows:,} rows instead of {shard.rows:,}")
        check_shard_unpacked(n_bytes)
        if texts > memory() // 4:
            _refuse_long(lake, shard)


def _refuse_long(lake: Lake, shard: Shard) -> None:
    import pyarrow as pa

    from warehouse.lake import read_shard

    try:
        read_shard(lake, shard.path)
    except (OSError, pa.ArrowException) as error:
        raise UnfitError(ascii(str(error))[1:-1]) from error


def _stored(
    con: duckdb.DuckDBPyConnection, table: str, files: dict[str, list[str]]
) -> dict[str, str]:
    """Where a table's columns are found in its shards, as SQL; those that are nowhere are NULL."""
    described = con.execute(f"DESCRIBE FROM {SOURCE}", files).fetchall()
    inside = {PARTITIONS.get(table, {}).get(name, name): name for name, *_ in described}
    columns = [name for name, *_ in con.execute(f"FROM {identifier(table)} LIMIT 0").description]
    stored = {name: f"r.{identifier(inside[name])}" for name in columns if name in inside}
    # What a later migration added is not in older shards: NULL, or its default.
    for name, text in table_defaults(table).items():
        if name in columns and text is not None:
            stored[name] = f"coalesce({stored.get(name, 'NULL')}, {quoted(text)})"
    return stored
