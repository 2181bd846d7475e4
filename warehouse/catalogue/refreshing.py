"""The catalogue: one DuckDB file that holds every small table, rebuilt from the shards."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse.catalogue.building import (
    UnbuiltError,
    create_all,
    drop_all,
    refill_marts,
    show_vectors,
    shows_vectors,
)
from warehouse.catalogue.currency import (
    held,
    is_current,
    opened_if_current,
    record_dates,
    rewritten,
    stamp,
    tables_ahead,
)
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.filling import fill
from warehouse.catalogue.reading import (
    NO_EXTENSIONS,
    Tables,
    Warehouse,
    lock_down,
    open_catalogue,
    set_vector_shards,
)
from warehouse.catalogue.soundness import catalogue_is_sound, note_built
from warehouse.delta import logged, refuse_place
from warehouse.errors import LayerhouseError
from warehouse.files import copy_file, file_lock, put_in_place, sync
from warehouse.lake import Commit, Lake, Standing, read_commit
from warehouse.schema import BOOKKEEPING, apply, migrations, pending, tables
from warehouse.storage import BUILDING
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    from warehouse.delta import DeltaLog


def connect(
    lake: Lake | str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = None,
    memory: str | None = None,
) -> Warehouse:
    """Open a lake for reading, after bringing its catalogue up to date.

    A query may take `timeout` seconds and that much `memory` ("4GB"), without limits by default.
    Raises UsageError where there is no lake, LayerhouseError where the catalogue was built by a
    newer Layerhouse or cannot be built.
    """
    place, con = _opened(Lake.at(lake), memory)
    return Warehouse(place, con, timeout)


def open_tables(lake: Lake) -> Tables:
    """Open a lake's tables alone, after bringing those up to date; the views of its catalogue may
    lag behind them until somebody connects, and are refused here. Raises as `connect`."""
    return Tables(*_opened(lake, views=False))


def _opened(
    lake: Lake, memory: str | None = None, *, views: bool = True
) -> tuple[Lake, duckdb.DuckDBPyConnection]:
    """The lake whose catalogue is up to date, which is one at the user's desk where this user may
    not bring the lake's own up to date, and a connection to it."""
    lake.require()
    looked_at = _written(lake)
    con = opened_if_current(lake, memory, views=views)
    if con is None:
        lake = _brought_up_to_date(lake, looked_at, views=views)
        con = open_catalogue(lake, memory)
    return lake, con


def current(lake: Lake) -> Lake:
    """The lake with a catalogue that is up to date: its own, or, where this user may not bring that
    up to date, one in the user's cache folder. Raises as `connect`."""
    lake.require()
    looked_at = _written(lake)
    return lake if is_current(lake) else _brought_up_to_date(lake, looked_at)


def _brought_up_to_date(
    lake: Lake, looked_at: tuple[int, int] | None, *, views: bool = True
) -> Lake:
    """As `current`, of a lake whose catalogue was not up to date when it was `looked_at`."""
    try:
        _build_alone(lake, looked_at, views=views)
    except ReadOnlyError as error:
        mine = lake.at_desk()
        try:
            mine.own.mkdir(parents=True, exist_ok=True)
            refresh(mine)
        except (OSError, ReadOnlyError):
            raise error from None
        return mine
    return lake


def refresh(lake: Lake, force: bool = False) -> bool:
    """Bring the catalogue up to date with the commits; returns whether there was anything to do.

    Only new commits are read, unless commits vanished or arrived out of order, the file is damaged,
    or `force` asks for everything anew. The result is the same either way. One process builds at a
    time; readers keep the old file until the new one takes its name.
    """
    lake.require()
    looked_at = _written(lake)
    if not force and is_current(lake):
        return False
    return _build_alone(lake, looked_at, force)


def _build_alone(
    lake: Lake, looked_at: tuple[int, int] | None, force: bool = False, *, views: bool = True
) -> bool:
    """Build unless another process did so since the catalogue was `looked_at`."""
    with _builder_lock(lake):
        if not force and _written(lake) != looked_at and is_current(lake, views=views):
            return False
        _build(lake, force, views)
        if lake.desk is None and logged(lake):
            from warehouse.delta import follow  # which brings NumPy and pyarrow

            with open_catalogue(lake) as con:
                follow(lake, con)
    return True


def write_delta(lake: Lake, chosen: Iterable[str]) -> list[DeltaLog]:
    """Write the Delta logs of these tables, or bring them up to date; the catalogue comes first.
    From then on they follow whenever it is brought up to date. Raises as `warehouse.delta.write`,
    and LayerhouseError where this user may not write to the lake."""
    from warehouse.delta import write

    refuse_place(lake)
    lake.require()
    lake.create()
    looked_at = _written(lake)
    if not is_current(lake, views=False):
        _build_alone(lake, looked_at, views=False)
    with _builder_lock(lake), open_catalogue(lake) as con:
        return list(write(lake, con, chosen))


def _written(lake: Lake) -> tuple[int, int] | None:
    """What tells one built catalogue from the next; None without any."""
    try:
        found = lake.catalogue.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class ReadOnlyError(LayerhouseError):
    """A catalogue is out of date where this user may not bring it up to date."""


@contextmanager
def _builder_lock(lake: Lake) -> Iterator[None]:
    """One builder per lake."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lake.own / "catalog.lock"))
            if not os.access(lake.own, os.W_OK, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ReadOnlyError(
                f"the catalogue of {lake} is out of date and cannot be rebuilt there: "
                f"{error.strerror}; copy the lake to a folder you may write to, or let "
                "LAYERHOUSE_CACHE name one for a catalogue of your own"
            ) from error
        yield


def _build(lake: Lake, force: bool, views: bool) -> None:
    """Build under a temporary name and put it in place; runs under the builder's lock."""
    target = lake.own / BUILDING
    try:
        _clear(lake)
        while True:
            present = frozenset(lake.store.commit_names())
            try:
                _fill_in(lake, target, present, force, views)
                break
            except LayerhouseError:
                # What was joined meanwhile may have been freed: what joined it is to be read.
                if frozenset(lake.store.commit_names()) == present:
                    raise
                _clear(lake)
        sync(target)
        note_built(lake, target)
        put_in_place(target, lake.catalogue)
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LayerhouseError(f"cannot build the catalogue {lake.catalogue}: {reason}") from error
    finally:
        _clear(lake)


def _fill_in(lake: Lake, target: Path, present: frozenset[str], force: bool, views: bool) -> None:
    """Make the catalogue of a lake that has the commits of these ids."""
    dates = {name: date for name, date in record_dates(lake).items() if name in present}
    names = set(filter(Standing.of(lake, present).is_live, present))
    if force or not _extend(lake, target, names, dates, views):
        _clear(lake)
        _build_anew(lake, target, names, dates, views)


def _clear(lake: Lake) -> None:
    """Remove what a killed builder left, or an attempt that came to nothing."""
    for leftover in lake.own.glob(f"{BUILDING}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


SMALL_BLOCKS = {"default_block_size": "65536"}
"""A quarter of DuckDB's own: a hundred tables of few rows take 4 MB instead of 13, which each
refresh copies, checks and syncs; large ones take a quarter less, and no longer to build."""


@contextmanager
def _builder(lake: Lake, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a catalogue under construction that reaches the lake's shards alone."""
    with duckdb.connect(str(target), config=NO_EXTENSIONS | SMALL_BLOCKS) as con:
        lake.store.scanned_by(con)
        folders = [f"{lake.root}/{table}" for table in tables()]
        lock_down(con, *folders, *(f"{lake}/{table}" for table in VECTOR_TABLES))
        yield con


def _build_anew(
    lake: Lake, target: Path, names: Iterable[str], dates: Mapping[str, int], views: bool
) -> None:
    """Fill a catalogue that begins without rows."""
    commits = [read_commit(lake, name) for name in names]
    _write_empty(target)
    with _builder(lake, target) as con:
        fill(con, lake, commits)
        _bring_vectors(con, lake, as_before=False)
        ahead = _changed(commits)
        if views:
            try:
                _bring_views(con, ahead)
            except UnbuiltError:
                drop_all(con)
                _bring_views(con, None)
        stamp(con, dates, frozenset() if views else ahead)


_EMPTY: dict[tuple[object, ...], bytes] = {}
"""The file of a catalogue without rows, by the SQL that it is made of."""


def _write_empty(target: Path) -> None:
    """Begin with a catalogue without rows, which a process makes once: making all views and
    comments takes longer than filling those of a small lake."""
    made_of = (SHIPPED.hash, *migrations())
    if made_of in _EMPTY:
        target.write_bytes(_EMPTY[made_of])
        return
    with duckdb.connect(str(target), config=NO_EXTENSIONS | SMALL_BLOCKS) as con:
        apply(con, migrations())
        create_all(con, SHIPPED)
    _EMPTY[made_of] = target.read_bytes()


def _extend(
    lake: Lake, target: Path, present: set[str], dates: Mapping[str, int], views: bool
) -> bool:
    """Copy the catalogue and add only the new commits; False where that would not do."""
    if not lake.catalogue.exists() or not catalogue_is_sound(lake):
        return False
    copy_file(lake.catalogue, target)
    # What DuckDB cannot read is damaged or of an unknown shape, and the shards hold everything.
    with suppress(duckdb.Error, UnbuiltError), _builder(lake, target) as con:
        wanted = pending(con, migrations(), lake.catalogue)
        ahead = None if wanted else tables_ahead(con)
        if ahead is None:
            drop_all(con)
            apply(con, wanted)
        elif views and con.execute("FROM unbuilt_view").fetchall():
            return False
        known = held(con).keys()
        new = [read_commit(lake, name) for name in sorted(present - known)]
        if known - present or not _all_later(con, new):
            return False
        if any(one.removes_samples for one in new):  # of which no byte may stay in the file
            return False
        if rewritten(con, lake, dates):
            return False
        fill(con, lake, new)
        _bring_vectors(con, lake, as_before=ahead is not None)
        if ahead is not None:
            ahead |= _changed(new)
        if views:
            _bring_views(con, ahead)
        stamp(con, dates, frozenset() if views else ahead)
        return True
    return False


def _bring_vectors(con: duckdb.DuckDBPyConnection, lake: Lake, *, as_before: bool) -> None:
    """Let the views of vectors see the lake's shards, once there are any."""
    set_vector_shards(con, lake)
    held = "SELECT 1 FROM shard WHERE table_name = $1 LIMIT 1"
    for table in VECTOR_TABLES:
        shards = con.execute(held, [table]).fetchall()
        if shards and not (as_before and shows_vectors(con, table)):
            show_vectors(con, SHIPPED, table)


def _bring_views(con: duckdb.DuckDBPyConnection, ahead: frozenset[str] | None) -> None:
    """Let the views know the rows of the tables that are ahead of them; None: make the views."""
    if ahead is None:
        create_all(con, SHIPPED)
    else:
        refill_marts(con, SHIPPED, ahead)


def _changed(new: list[Commit]) -> frozenset[str]:
    """The tables that these commits bring rows to, the catalogue's own among them."""
    return BOOKKEEPING | {shard.table for commit in new for shard in commit.shards}


def _all_later(con: duckdb.DuckDBPyConnection, commits: list[Commit]) -> bool:
    """Whether the commits come after all that the catalogue holds, so that their rows win."""
    last = con.execute(
        "SELECT committed_at, run_id, n FROM commit_record ORDER BY ALL DESC LIMIT 1"
    ).fetchone()
    return last is None or all(commit.order > last for commit in commits)
