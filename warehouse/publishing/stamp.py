"""What a publication says about itself: which state of the lake it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import LayerhouseError, UsageError
from warehouse.extensions import layerhouse_version
from warehouse.publishing.patients import WITHHELD, source_of
from warehouse.schema import identifier, quoted
from warehouse.untrusted import (
    UnfitError,
    fields,
    mapping,
    moment,
    parse_json,
    read_bounded,
    text,
    whole,
)

TABLE = "build"
FILE = "build.json"

COMMENT = "What this file was built from: one row per mart."
COLUMNS = {
    "mart": ("VARCHAR", "Name of a mart in this file."),
    "n_rows": ("BIGINT", "Rows of that mart."),
    "content": ("VARCHAR", "Hash of its rows, columns and comments: equal hashes, equal mart."),
    "built_at": ("TIMESTAMP", "When this file was written, UTC."),
    "layerhouse_version": ("VARCHAR", "The Layerhouse that wrote it."),
    "commit_set": ("VARCHAR", "Hash of the lake's commits: equal hashes, equal data."),
    "definitions": ("VARCHAR", "Hash of the SQL that defines the views and marts."),
}


HASH = text("a hash", r"[\x20-\x7e]{0,100}")
STAMP = fields(
    {
        "built_at": moment,
        "layerhouse_version": text("a version", r"[\x20-\x7e]{0,100}"),
        "commit_set": HASH,
        "definitions": HASH,
        "marts": mapping(
            text("a mart", r"mart_[a-z0-9_]{1,60}"), fields({"n_rows": whole(), "content": HASH})
        ),
    },
    {
        "files": mapping(
            text("a mart's file", r"mart_[a-z0-9_]{1,60}\.(?:csv|parquet)"),
            text("a checksum", r"[0-9a-f]{64}"),
        )
    },
)
"""What build.json may say: files are replaced and deleted by the names in it."""


@dataclass(frozen=True)
class Mart:
    """One mart of a publication; equal contents are equal marts, in whatever order their rows."""

    n_rows: int
    content: str


@dataclass(frozen=True)
class Stamp:
    """What a publication holds; two of equal state hold the same marts.

    `files` are the checksums of a folder's own, by name; earlier versions noted none.
    """

    built_at: str
    layerhouse_version: str
    commit_set: str
    definitions: str
    marts: dict[str, Mart]
    files: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> tuple[str, str, str]:
        return self.commit_set, self.definitions, self.layerhouse_version

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of the table `build`, in the order of COLUMNS."""
        state = (self.built_at, self.layerhouse_version, self.commit_set, self.definitions)
        return [(name, m.n_rows, m.content, *state) for name, m in self.marts.items()]

    def json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def of_lake(con: duckdb.DuckDBPyConnection, *, patients: bool) -> Stamp:
    """What the catalogue attached as `lake` would publish now, with or without patients."""
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = 'lake' AND regexp_full_match(table_name, 'mart_[a-z0-9_]+') "
        "ORDER BY table_name"
    ).fetchall()
    commits = con.execute("SELECT commit_id, hash FROM lake.commit_record ORDER BY ALL").fetchall()
    definitions = con.execute("SELECT sql_hash FROM lake.catalogue_build").fetchone()
    defined = definitions[0] if definitions else ""
    return Stamp(
        built_at=datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        layerhouse_version=layerhouse_version(),
        commit_set=_digest(commits),
        definitions=defined if patients else _digest([defined, WITHHELD]),
        marts={name: _mart(con, name, patients) for (name,) in names},
    )


def _mart(con: duckdb.DuckDBPyConnection, name: str, patients: bool) -> Mart:
    columns = con.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE database_name = 'lake' AND table_name = ? ORDER BY column_index",
        [name],
    ).fetchall()
    n_rows, total = _summed(con, source_of(con, name, patients=patients))
    return Mart(n_rows, _digest([columns, n_rows, total]))


def _summed(con: duckdb.DuckDBPyConnection, source: str) -> tuple[int, int]:
    """How many rows there are and what tells them from others, in whatever order."""
    n_rows, total = con.execute(
        f"SELECT count(*), coalesce(sum(hash(mart)), 0) FROM {source} AS mart"
    ).fetchall()[0]
    return n_rows, total


def holds_marts(con: duckdb.DuckDBPyConnection, path: Path, sources: Mapping[str, str]) -> bool:
    """Whether a published file has the rows of the sources, by mart; anyone may have changed it."""
    try:
        con.execute(f"ATTACH {quoted(str(path))} AS held (READ_ONLY)")
        return all(
            _summed(con, f"held.{identifier(name)}") == _summed(con, source)
            for name, source in sources.items()
        )
    except duckdb.Error:
        return False
    finally:
        con.execute("DETACH DATABASE IF EXISTS held")


def _digest(value: object) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def in_folder(folder: Path) -> Stamp | None:
    """What a published folder's stamp says; None where there is no legible one."""
    try:
        held = parse_json(read_bounded(folder / FILE))
        STAMP(held, "")
    except (OSError, UnfitError):
        return None
    marts = {name: Mart(**mart) for name, mart in held.pop("marts").items()}
    return Stamp(**held, marts=marts)


def in_file(con: duckdb.DuckDBPyConnection, path: Path) -> Stamp | None:
    """What a published file's table `build` says; None where there is no file yet, or an older one.

    Raises LayerhouseError where the file is open for writing, in this program or another, and
    UsageError where it is somebody else's.
    """
    if not path.exists():
        return None
    try:
        con.execute(f"ATTACH {quoted(str(path))} AS held (READ_ONLY)")
        rows = con.sql(f"FROM held.{TABLE}")
        columns = rows.columns
        found = rows.fetchall()
    except duckdb.Error as error:
        if any(word in str(error) for word in ("lock", "already attached")):
            raise LayerhouseError(
                f"{path} is open for writing in another program or connection; close it there, or "
                "publish to another file"
            ) from error
        raise UsageError(_foreign(path)) from error
    finally:
        con.execute("DETACH DATABASE IF EXISTS held")
    if not {"mart", "commit_set", "layerhouse_version"} <= set(columns):
        raise UsageError(_foreign(path))
    if columns != list(COLUMNS) or not found:
        return None
    _, _, _, built_at, wrote, commit_set, definitions = found[0]
    marts = {name: Mart(n_rows, content) for name, n_rows, content, *_ in found}
    return Stamp(str(built_at), wrote, commit_set, definitions, marts)


def _foreign(path: Path) -> str:
    return f"{path} exists and was not published by Layerhouse; name another file"
