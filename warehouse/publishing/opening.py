"""A published file, opened for reading as a lake is."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import duckdb

from warehouse.catalogue import Catalogue, lock_down, open_blank
from warehouse.errors import LayerhouseError, UsageError
from warehouse.publishing.publishing import DATABASE
from warehouse.publishing.stamp import TABLE
from warehouse.schema import quoted


def open_published(place: Path, timeout: float | None = None) -> Catalogue:
    """The marts of a file that `publish` wrote, or of a folder that it wrote, read-only.

    The connection reaches nothing else. Raises UsageError for what is no such file, LayerhouseError
    for one that cannot be read.
    """
    path = _file(place)
    con = open_blank()
    try:
        con.execute(f"ATTACH {quoted(str(path))} AS published (READ_ONLY); USE published")
        lock_down(con)
        held = {
            name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }
    except duckdb.Error as error:
        con.close()
        reason = str(error).strip().splitlines()[0]
        raise LayerhouseError(f"cannot read {path}: {reason}") from error
    if TABLE not in held or "mart_leaderboard" not in held:
        con.close()
        raise UsageError(f"{path} holds no marts; `layerhouse publish --out F.duckdb` writes them")
    return Catalogue(con, timeout)


def _file(place: Path) -> Path:
    """The DuckDB file that is meant."""
    if (place / "commits").is_dir():
        raise UsageError(f"{place} is a lake; name it with --lake {quote(str(place))}")
    if (place.parent / "commits").is_dir() and place.name == "catalog.duckdb":
        raise UsageError(
            f"{place} is a lake's own catalogue; name it with --lake {quote(str(place.parent))}"
        )
    if place.is_dir():
        if not (place / DATABASE).is_file():
            raise UsageError(f"{place} holds no {DATABASE}; `layerhouse publish` writes one")
        return place / DATABASE
    if not place.is_file():
        raise UsageError(
            f"{place} is no file; `layerhouse publish --out {quote(str(place))}` writes one"
        )
    return place
