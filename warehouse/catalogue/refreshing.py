"""The catalogue: one DuckDB file that holds every small table, rebuilt from the shards."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

from warehouse.catalogue.building import (
    UnbuiltError,
    create_all,
    drop_all,
    refill_marts,
    show_activations,
)
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.filling import fill
from warehouse.catalogue.reading import (
    NO_EXTENSIONS,
    Warehouse,
    lock_down,
    open_catalogue,
    set_activation_shards,
)
from warehouse.catalogue.soundness import catalogue_is_sound, note_built
from warehouse.errors import LayerhouseError
from warehouse.files import copy_file, file_lock, put_in_place, sync
from warehouse.lake import Commit, Lake, Standing, commit_hash, read_commit
from warehouse.schema import BOOKKEEPING, apply, migrations, pending, tables
from warehouse.storage import BUILDING


def connect(
    lake: "Lake | str | os.PathLike[str] | None" = None,
    *,
    timeout: float | None = None,
    memory: str | None = None,
) -> Warehouse:
    """Open a lake for reading, after bringing its catalogue up to date.

    A query may take `timeout` seconds and that much `memory` ("4GB"), without limits by default.
    Raises UsageError where there is no lake, LayerhouseError where the catalogue was built by a
    newer Layerhouse or cannot be built.
    """
    place = Lake.at(lake)
    place.require()
    looked_at = _written(place)
    con = _opened_if_current(place, memory)
    if con is None:
        place = _brought_up_to_date(place, looked_at)
        con = open_catalogue(place, memory)
    return Warehouse(place, con, timeout)


def current(lake: Lake) -> Lake:
    """The lake with a catalogue that is up to date: its own, or, where this user may not bring that
    up to date, one in the user's cache folder. Raises as `connect`."""
    lake.require()
    looked_at = _written(lake)
    return lake if _is_current(lake) else _brought_up_to_date(lake, looked_at)


def _brought_up_to_date(lake: Lake, looked_at: tuple[int, int] | None) -> Lake:
    """As `current`, of a lake whose catalogue was not up to date when it was `looked_at`."""
    try:
        _build_alone(lake, looked_at)
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
    if not force and _is_current(lake):
        return False
    return _build_alone(lake, looked_at, force)


def _build_alone(lake: Lake, looked_at: tuple[int, int] | None, force: bool = False) -> bool:
    """Build unless another process did so since the catalogue was `looked_at`."""
    with _builder_lock(lake):
        if not force and _written(lake) != looked_at and _is_current(lake):
            return False
        _build(lake, force)
    return True


def _written(lake: Lake) -> tuple[int, int] | None:
    """What tells one built catalogue from the next; None without any."""
    try:
        found = lake.catalogue.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _is_current(lake: Lake) -> bool:
    con = _opened_if_current(lake)
    if con is not None:
        con.close()
    return con is not None


def _opened_if_current(lake: Lake, memory: str | None = None) -> duckdb.DuckDBPyConnection | None:
    """The catalogue, if it holds exactly the lake's commits and this Layerhouse's SQL."""
    with ExitStack() as opened:
        try:
            if not lake.catalogue.exists() or not catalogue_is_sound(lake):
                return None
            con = opened.enter_context(open_catalogue(lake, memory))
            if (
                not pending(con, migrations(), lake.catalogue)
                and _sql_hash(con) == SHIPPED.hash
                and _files(con) == set(lake.store.commit_names())
                and not _rewritten(con, lake, _dates(lake))
            ):
                opened.pop_all()
                return con
        except OSError:  # a file that cannot be read is as good as none
            return None
        except duckdb.Error as error:
            if "could not set lock" in str(error).lower():  # a damaged "block" is no lock
                raise LayerhouseError(
                    f"{lake.catalogue} is open for writing elsewhere; close that program: "
                    "the catalogue is only ever read, and rebuilt from the shards"
                ) from error
    return None


def _files(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The records that lay in the lake when it was built, of commits that count and of others."""
    return {row[0] for row in con.execute("SELECT commit_id FROM record_file").fetchall()}


def _held(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By id the hashes of the records that it took in."""
    rows = con.execute(
        "SELECT commit_id, hash FROM commit_record WHERE joined_by IS NULL "
        "UNION ALL SELECT commit_id, hash FROM compaction"
    ).fetchall()
    return dict(rows)


def _rewritten(con: duckdb.DuckDBPyConnection, lake: Lake, dates: Mapping[str, int]) -> bool:
    """Whether a commit record has other contents than when the catalogue took it in.

    That happens when one was deleted and its run done again. Only records with another date than
    they had then are read; in a copied lake these may be all.
    """
    held = dict(con.execute("SELECT commit_id, modified_ns FROM record_file").fetchall())
    changed = {name for name, date in dates.items() if held.get(name) != date}
    if not changed:
        return False
    known = _held(con).items()
    return any(commit_hash(lake, name) != hash_ for name, hash_ in known if name in changed)


def _dates(lake: Lake) -> dict[str, int]:
    """When the file of each commit record was last written, in ns."""
    if not lake.commits_dir.is_dir():
        return {}
    with os.scandir(lake.commits_dir) as entries:
        return {
            entry.name.removesuffix(".json"): entry.stat(follow_symlinks=False).st_mtime_ns
            for entry in entries
            if entry.name.endswith(".json")
        }


def _sql_hash(con: duckdb.DuckDBPyConnection) -> str | None:
    rows = con.execute("SELECT sql_hash FROM catalogue_build").fetchall()
    return rows[0][0] if rows else None


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


def _build(lake: Lake, force: bool) -> None:
    """Build under a temporary name and put it in place; runs under the builder's lock."""
    target = lake.own / BUILDING
    try:
        _clear(lake)
        while True:
            present = frozenset(lake.store.commit_names())
            try:
                _fill_in(lake, target, present, force)
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


def _fill_in(lake: Lake, target: Path, present: frozenset[str], force: bool) -> None:
    """Make the catalogue of a lake that has the commits of these ids."""
    dates = {name: date for name, date in _dates(lake).items() if name in present}
    names = set(filter(Standing.of(lake, present).is_live, present))
    if force or not _extend(lake, target, names, dates):
        _clear(lake)
        _build_anew(lake, target, names, dates)


def _clear(lake: Lake) -> None:
    """Remove what a killed builder left, or an attempt that came to nothing."""
    for leftover in lake.own.glob(f"{BUILDING}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


@contextmanager
def _builder(lake: Lake, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a catalogue under construction that reaches the lake's shards alone."""
    with duckdb.connect(str(target), config=NO_EXTENSIONS) as con:
        lake.store.scanned_by(con)
        folders = [f"{lake.root}/{table}" for table in tables()]
        lock_down(con, *folders, f"{lake}/activation")
        yield con


def _build_anew(lake: Lake, target: Path, names: Iterable[str], dates: Mapping[str, int]) -> None:
    commits = [read_commit(lake, name) for name in names]
    with _builder(lake, target) as con:
        apply(con, migrations())
        fill(con, lake, commits)
        set_activation_shards(con, lake)
        create_all(con, SHIPPED, with_activations=_has_activations(con), stored=True)
        _stamp(con, dates)


def _extend(lake: Lake, target: Path, present: set[str], dates: Mapping[str, int]) -> bool:
    """Copy the catalogue and add only the new commits; False where that would not do."""
    if not lake.catalogue.exists() or not catalogue_is_sound(lake):
        return False
    copy_file(lake.catalogue, target)
    # What DuckDB cannot read is damaged or of an unknown shape, and the shards hold everything.
    with suppress(duckdb.Error, UnbuiltError), _builder(lake, target) as con:
        wanted = pending(con, migrations(), lake.catalogue)
        as_before = not wanted and _sql_hash(con) == SHIPPED.hash
        if not as_before:
            drop_all(con)
            apply(con, wanted)
        elif con.execute("FROM unbuilt_view").fetchall():
            return False
        held = _held(con).keys()
        new = [read_commit(lake, name) for name in sorted(present - held)]
        if held - present or not _all_later(con, new):
            return False
        if any(one.removes_samples for one in new):  # of which no byte may stay in the file
            return False
        if _rewritten(con, lake, dates):
            return False
        _add(con, lake, new, as_before=as_before)
        _stamp(con, dates)
        return True
    return False


def _add(con: duckdb.DuckDBPyConnection, lake: Lake, new: list[Commit], *, as_before: bool) -> None:
    """Load new commits; `as_before` says that the views are those of today."""
    had_activations = _has_activations(con)
    fill(con, lake, new)
    set_activation_shards(con, lake)
    if as_before:
        if not had_activations and _has_activations(con):
            show_activations(con, SHIPPED)
        refill_marts(con, SHIPPED, _changed(new))
    else:
        create_all(con, SHIPPED, with_activations=_has_activations(con), stored=True)


def _changed(new: list[Commit]) -> frozenset[str]:
    """The tables that these commits bring rows to, the catalogue's own among them."""
    return BOOKKEEPING | {shard.table for commit in new for shard in commit.shards}


def _all_later(con: duckdb.DuckDBPyConnection, commits: list[Commit]) -> bool:
    """Whether the commits come after all that the catalogue holds, so that their rows win."""
    last = con.execute(
        "SELECT committed_at, run_id, n FROM commit_record ORDER BY ALL DESC LIMIT 1"
    ).fetchone()
    return last is None or all(commit.order > last for commit in commits)


def _has_activations(con: duckdb.DuckDBPyConnection) -> bool:
    rows = con.execute("SELECT 1 FROM shard WHERE table_name = 'activation' LIMIT 1").fetchall()
    return bool(rows)


def _stamp(con: duckdb.DuckDBPyConnection, dates: Mapping[str, int]) -> None:
    """Note what the catalogue was built from, and leave everything in its one file.

    `dates` are those that the records had before they were read.
    """
    con.execute("DELETE FROM record_file")
    con.execute(
        "INSERT INTO record_file SELECT unnest($1::TEXT[]), unnest($2::BIGINT[])",
        [list(dates), list(dates.values())],
    )
    con.execute("DELETE FROM catalogue_build")
    con.execute(
        "INSERT INTO catalogue_build VALUES (?, version(), now()::TIMESTAMP)", [SHIPPED.hash]
    )
    con.execute("CHECKPOINT")
