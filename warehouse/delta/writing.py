"""Bring the Delta logs of a lake to the state that its catalogue shows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.delta.contents import Shown
from warehouse.delta.folders import logged, refuse_place, table_folder
from warehouse.delta.logs import Log
from warehouse.errors import LayerhouseError, few
from warehouse.files import inside, make_folder
from warehouse.lake import Lake
from warehouse.schema import migrations, tables, tables_since
from warehouse.storage import DELTA_ROWS

if TYPE_CHECKING:
    import duckdb

BEHIND = logging.getLogger("layerhouse.delta")


@dataclass(frozen=True)
class DeltaLog:
    """A table's Delta log: the number of its newest `version`, that version's rows and files, and
    whether it is `new`. `n_rewritten` of the files are beside the shards, as their rows are in none
    as they are."""

    table: str
    path: str
    version: int
    n_rows: int
    n_files: int
    n_rewritten: int
    new: bool


def write(lake: Lake, con: duckdb.DuckDBPyConnection, chosen: Iterable[str]) -> Iterator[DeltaLog]:
    """Let the Delta logs of these tables show what an open catalogue of the lake does.

    One process at a time does so for a lake: whoever holds the builder's lock. Killed anywhere, it
    leaves readers the version before. Raises UsageError for a lake whose tables cannot be named,
    LayerhouseError where a log cannot be read or written.
    """
    refuse_place(lake)
    for table in chosen:
        try:
            yield _written(lake, con, table)
        except OSError as error:
            raise LayerhouseError(
                f"cannot write the Delta log of {table} in {lake}: {error.strerror or error}; "
                "readers see the version before, and the same command goes on from there"
            ) from error


def _written(lake: Lake, con: duckdb.DuckDBPyConnection, table: str) -> DeltaLog:
    folder = table_folder(lake, table)
    make_folder(folder)
    log, shown = Log(folder, table), Shown.by(lake, con, table)
    state = shown.state
    if log.exists and log.state == state:
        return _told(log, log.version(), log.files(), new=False)
    files = {file.path: file for file in shown.files()}
    version = log.show(files, state)
    sizes = {path: (one.bytes, one.rows) for path, one in files.items()}
    return _told(log, version, sizes, new=True)


def _told(
    log: Log, version: int, files: Mapping[str, tuple[int, int | None]], *, new: bool
) -> DeltaLog:
    rewritten = sum(path.startswith(f"{DELTA_ROWS}/") for path in files)
    n_rows = sum(rows or 0 for _, rows in files.values())
    return DeltaLog(log.table, str(log.folder), version, n_rows, len(files), rewritten, new)


def follow(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """As `write`, of the tables that have a log already, and of new ones where all had. What keeps
    some from that is told in one line and is no error: their logs stay as they are, and the lake is
    not about them."""
    failed: dict[str, LayerhouseError | OSError] = {}
    for table in [*_new_tables(lake), *logged(lake)]:
        try:
            state = Log(table_folder(lake, table), table).state
            if state != Shown.by(lake, con, table).state:
                list(write(lake, con, [table]))
        except (LayerhouseError, OSError) as error:
            failed[table] = error
    if failed:
        names = few(failed, 3)
        why = next(iter(failed.values()))
        BEHIND.warning("The Delta logs of %s in %s stay behind: %s", names, lake, why)


def _new_tables(lake: Lake) -> list[str]:
    """The tables of later migrations than the logs are of, where each earlier one has a log: then
    all were asked for. A log that was removed since does not come back."""
    known = set(logged(lake))
    states = []
    for table in known:
        with suppress(LayerhouseError):  # which is told when it is its turn
            states.append(Log(table_folder(lake, table), table).state or "")
    names = {migration.name for migration in migrations()}
    shown = [name for state in states if (name := state.partition(" ")[0]) in names]
    new = tables_since(min(shown)) if shown else []
    return [] if set(tables()) - set(new) - known else [name for name in new if name not in known]


def clear_old(lake: Lake, *, dry_run: bool = False) -> list[tuple[str, int]]:
    """Delete the files of rows that the newest version of no Delta table names any more, and that
    only its older versions need; returns the paths, relative to the lake, and bytes of each. With
    `dry_run` none is deleted. Raises LayerhouseError where a log cannot be read."""
    found: list[tuple[str, int]] = []
    for table in logged(lake):
        folder = table_folder(lake, table)
        present = sorted(inside(lake.root, f"{table}/{DELTA_ROWS}").rglob("*.parquet"))
        log = Log(folder, table)
        named = log.files() if present and log.exists else {}
        for path in present:
            if path.relative_to(folder).as_posix() not in named:
                found.append((path.relative_to(lake.root).as_posix(), path.stat().st_size))
                if not dry_run:
                    path.unlink(missing_ok=True)
    return found
