"""The marts as files that BI tools read: DuckDB in an older format, Parquet and CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb

from warehouse import files
from warehouse.catalogue import refresh
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

STORAGE_VERSION = "v1.4.0"
"""Read by DuckDB 1.4, 1.5 and 2.0; many BI clients still bring a 1.x."""

DATABASE = "marts.duckdb"
STAMP = "build.json"

BUILD_COMMENT = "What this file was built from: one row per mart."
BUILD_COLUMNS = {
    "mart": ("VARCHAR", "Name of a mart in this file."),
    "n_rows": ("BIGINT", "Rows of that mart."),
    "built_at": ("TIMESTAMP", "When this file was written, UTC."),
    "layerhouse_version": ("VARCHAR", "The Layerhouse that wrote it."),
    "commit_set": ("VARCHAR", "Hash of the lake's commits: equal hashes, equal data."),
    "definitions": ("VARCHAR", "Hash of the SQL that defines the views and marts."),
}


@dataclass(frozen=True)
class Build:
    """What a publication holds; two builds of equal state hold the same marts."""

    built_at: str
    layerhouse_version: str
    commit_set: str
    definitions: str
    marts: dict[str, int]

    @property
    def state(self) -> tuple[str, str, str]:
        return self.commit_set, self.definitions, self.layerhouse_version

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of the table `build`, in the order of BUILD_COLUMNS."""
        stamp = (self.built_at, self.layerhouse_version, self.commit_set, self.definitions)
        return [(mart, n_rows, *stamp) for mart, n_rows in self.marts.items()]


def publish(lake: Lake, out: Path) -> list[Path]:
    """Write the marts to `out`; returns the files written, none where they are up to date.

    A name that ends in .duckdb becomes one DuckDB file; any other is a folder that gets the same
    file, every mart as Parquet and CSV, and build.json. Each file appears whole or not at all, and
    readers of an older one keep it. Raises UsageError for a target that is something else,
    LayerhouseError for one that cannot be written or is open for writing elsewhere.
    """
    refresh(lake)
    single = out.suffix == ".duckdb"
    _refuse_other_kinds(out, single=single)
    with _marts(lake) as (con, build):
        held = _held_in_file(con, out) if single else _held_in_folder(out)
        if held is not None and held.state == build.state:
            return []
        try:
            return _write_file(con, build, out) if single else _write_folder(con, build, out)
        except (OSError, duckdb.Error) as error:
            reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
            raise LayerhouseError(f"cannot publish to {out}: {reason}") from error


def _refuse_other_kinds(out: Path, *, single: bool) -> None:
    if single and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, or a folder without .duckdb at its end")
    if not single and out.is_file():
        raise UsageError(f"{out} is a file; name a folder, or a file that ends in .duckdb")


@contextmanager
def _marts(lake: Lake) -> Iterator[tuple[duckdb.DuckDBPyConnection, Build]]:
    """A connection of its own with the catalogue attached as `lake`, and what it would publish.

    Its own, because a reader in this process may have locked down the catalogue's.
    """
    config: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(config=config) as con:
        try:
            con.execute(f"ATTACH {_quoted(str(lake.catalogue))} AS lake (READ_ONLY)")
        except duckdb.Error as error:
            raise LayerhouseError(f"cannot read {lake.catalogue}: {_first_line(error)}") from error
        yield con, _build(con)


def _build(con: duckdb.DuckDBPyConnection) -> Build:
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = 'lake' AND starts_with(table_name, 'mart_') ORDER BY table_name"
    ).fetchall()
    commits = con.execute("SELECT commit_id, hash FROM lake.commit_record ORDER BY ALL").fetchall()
    definitions = con.execute("SELECT sql_hash FROM lake.catalogue_build").fetchone()
    return Build(
        built_at=datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        layerhouse_version=_version(),
        commit_set=blake2b(json.dumps(commits).encode(), digest_size=16).hexdigest(),
        definitions=definitions[0] if definitions else "",
        marts={name: _count(con, name) for (name,) in names},
    )


def _version() -> str:
    try:
        return version("layerhouse")
    except PackageNotFoundError:
        return "unknown"


def _count(con: duckdb.DuckDBPyConnection, mart: str) -> int:
    row = con.execute(f'SELECT count(*) FROM lake."{mart}"').fetchone()
    return int(row[0]) if row else 0


def _held_in_folder(folder: Path) -> Build | None:
    """What the folder's stamp says, unless one of the files it names is gone."""
    try:
        held = Build(**json.loads((folder / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    named = [DATABASE, *(f"{mart}.{kind}" for mart in held.marts for kind in ("parquet", "csv"))]
    return held if all((folder / name).is_file() for name in named) else None


def _held_in_file(con: duckdb.DuckDBPyConnection, path: Path) -> Build | None:
    """What the file's table `build` says; None where there is no file yet."""
    if not path.exists():
        return None
    try:
        con.execute(f"ATTACH {_quoted(str(path))} AS held (READ_ONLY)")
        rows = con.execute(f"SELECT {', '.join(BUILD_COLUMNS)} FROM held.build").fetchall()
    except duckdb.Error as error:
        if "lock" in str(error):
            raise LayerhouseError(
                f"{path} is open for writing in another program; close it there, or publish to "
                "another file"
            ) from error
        raise UsageError(
            f"{path} exists and was not published by Layerhouse; name another file"
        ) from error
    finally:
        con.execute("DETACH DATABASE IF EXISTS held")
    if not rows:
        return None
    _, _, built_at, wrote, commit_set, definitions = rows[0]
    marts = {mart: n_rows for mart, n_rows, *_ in rows}
    return Build(built_at.isoformat(), wrote, commit_set, definitions, marts)


def _write_file(con: duckdb.DuckDBPyConnection, build: Build, out: Path) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    _replace(out, lambda path: _write_database(con, build, path))
    return [out]


def _write_folder(con: duckdb.DuckDBPyConnection, build: Build, out: Path) -> list[Path]:
    """Everything under its own name, the stamp last: it says that the rest is there."""
    written = _write_file(con, build, out / DATABASE)
    for mart in build.marts:
        for kind, options in (("parquet", "COMPRESSION zstd"), ("csv", "HEADER")):
            path = out / f"{mart}.{kind}"
            _replace(path, _copying(con, mart, f"FORMAT {kind}, {options}"))
            written.append(path)
    text = json.dumps(asdict(build), indent=1) + "\n"
    _replace(out / STAMP, lambda path: _write_text(path, text))
    return [*written, out / STAMP]


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}{files.TEMPORARY}")
    try:
        files.write_durably(temporary, write)
        files.publish(temporary, path)
    finally:
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)


def _copying(con: duckdb.DuckDBPyConnection, mart: str, options: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        con.execute(f'COPY lake."{mart}" TO {_quoted(str(path))} ({options})')

    return write


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_database(con: duckdb.DuckDBPyConnection, build: Build, path: Path) -> None:
    con.execute(f"ATTACH {_quoted(str(path))} AS out (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        for mart in build.marts:
            con.execute(f'CREATE TABLE out."{mart}" AS FROM lake."{mart}"')
            _copy_comments(con, mart)
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in BUILD_COLUMNS.items())
        con.execute(f"CREATE TABLE out.build ({columns})")
        places = ", ".join("?" for _ in BUILD_COLUMNS)
        for row in build.rows():
            con.execute(f"INSERT INTO out.build VALUES ({places})", row)
        con.execute(f"COMMENT ON TABLE out.build IS {_quoted(BUILD_COMMENT)}")
        for name, (_, comment) in BUILD_COLUMNS.items():
            con.execute(f"COMMENT ON COLUMN out.build.{name} IS {_quoted(comment)}")
    finally:
        con.execute("DETACH out")


def _copy_comments(con: duckdb.DuckDBPyConnection, mart: str) -> None:
    """BI tools show them as descriptions."""
    comment = con.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = ?",
        [mart],
    ).fetchone()
    if comment and comment[0] is not None:
        con.execute(f'COMMENT ON TABLE out."{mart}" IS {_quoted(comment[0])}')
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'lake' AND table_name = ? AND comment IS NOT NULL",
        [mart],
    ).fetchall()
    for name, text in columns:
        con.execute(f'COMMENT ON COLUMN out."{mart}"."{name}" IS {_quoted(text)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
