"""How the catalogue is built: one DuckDB file that holds every small table, from the shards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.catalogue.building import (
    UnbuiltError,
    create_all,
    drop_all,
    refill_marts,
    show_vectors,
    shows_vectors,
)
from warehouse.catalogue.currency import held, record_dates, rewritten, stamp, tables_ahead
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.filling import fill
from warehouse.catalogue.reading import NO_EXTENSIONS, lock_down, set_vector_shards
from warehouse.catalogue.soundness import catalogue_is_sound, note_built
from warehouse.errors import LayerhouseError
from warehouse.files import copy_file, put_in_place, sync
from warehouse.lake import Commit, Lake, Standing, read_commit
from warehouse.schema import BOOKKEEPING, apply, migrations, pending, tables
from warehouse.storage import BUILDING
from warehouse.vocabulary import VECTOR_TABLES


def build(lake: Lake, *, anew: bool, views: bool) -> None:
    """Build under a temporary name and put it in place; the caller is the lake's only builder.

    anew: from all commits, and not from the catalogue that is there and the new ones; views: let
    them know the rows too. Raises LayerhouseError where that cannot be done.
    """
    target = lake.own / BUILDING
    try:
        _clear(lake)
        while True:
            present = frozenset(lake.store.commit_names())
            try:
                _Construction.of(lake, target, present, views).fill_in(anew)
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
def builder(lake: Lake, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a catalogue under construction that reaches the lake's shards alone."""
    with duckdb.connect(str(target), config=NO_EXTENSIONS | SMALL_BLOCKS) as con:
        lake.store.scanned_by(con)
        folders = [f"{lake.root}/{table}" for table in tables()]
        lock_down(con, *folders, *(f"{lake}/{table}" for table in VECTOR_TABLES))
        yield con


@dataclass(frozen=True)
class _Construction:
    """A catalogue under construction at `target`: of the commits of these ids, whose records have
    these dates, with the views brought up to date or not."""

    lake: Lake
    target: Path
    names: frozenset[str]
    dates: dict[str, int]
    views: bool

    @classmethod
    def of(cls, lake: Lake, target: Path, present: frozenset[str], views: bool) -> _Construction:
        """Of a lake that has the commits of these ids, some of which others may have replaced."""
        dates = {name: date for name, date in record_dates(lake).items() if name in present}
        live = frozenset(filter(Standing.of(lake, present).is_live, present))
        return cls(lake, target, live, dates, views)

    def fill_in(self, anew: bool) -> None:
        if anew or not self._extend():
            _clear(self.lake)
            self._start_over()

    def _start_over(self) -> None:
        """Fill a catalogue that begins without rows."""
        commits = [read_commit(self.lake, name) for name in self.names]
        _write_empty(self.target)
        with builder(self.lake, self.target) as con:
            fill(con, self.lake, commits)
            _bring_vectors(con, self.lake, as_before=False)
            ahead = _changed(commits)
            if self.views:
                try:
                    _bring_views(con, ahead)
                except UnbuiltError:
                    drop_all(con)
                    _bring_views(con, None)
            self._stamp(con, ahead)

    def _extend(self) -> bool:
        """Copy the catalogue and add only the new commits; False where that would not do."""
        lake = self.lake
        if not lake.catalogue.exists() or not catalogue_is_sound(lake):
            return False
        copy_file(lake.catalogue, self.target)
        # What DuckDB cannot read is damaged or of an unknown shape, and the shards hold everything.
        with suppress(duckdb.Error, UnbuiltError), builder(self.lake, self.target) as con:
            wanted = pending(con, migrations(), lake.catalogue)
            ahead = None if wanted else tables_ahead(con)
            if ahead is None:
                drop_all(con)
                apply(con, wanted)
            elif self.views and con.execute("FROM unbuilt_view").fetchall():
                return False
            new = self._added_to(con)
            if new is None:
                return False
            fill(con, lake, new)
            _bring_vectors(con, lake, as_before=ahead is not None)
            if ahead is not None:
                ahead |= _changed(new)
            if self.views:
                _bring_views(con, ahead)
            self._stamp(con, ahead)
            return True
        return False

    def _added_to(self, con: duckdb.DuckDBPyConnection) -> list[Commit] | None:
        """The commits that a catalogue lacks; None where adding them would not make it whole."""
        known = held(con).keys()
        new = [read_commit(self.lake, name) for name in sorted(self.names - known)]
        if known - self.names or not _all_later(con, new):
            return None
        if any(one.removes_samples for one in new):  # of which no byte may stay in the file
            return None
        return None if rewritten(con, self.lake, self.dates) else new

    def _stamp(self, con: duckdb.DuckDBPyConnection, ahead: frozenset[str] | None) -> None:
        stamp(con, self.dates, frozenset() if self.views else ahead)


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
