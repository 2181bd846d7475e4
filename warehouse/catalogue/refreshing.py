"""When the catalogue is built: before it is read, where it is behind; by one process at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from warehouse.catalogue.construction import build
from warehouse.catalogue.currency import is_current, opened_if_current
from warehouse.catalogue.reading import Tables, Warehouse, open_catalogue
from warehouse.delta import logged, refuse_place
from warehouse.errors import LayerhouseError
from warehouse.files import file_lock
from warehouse.lake import Lake

if TYPE_CHECKING:
    import duckdb

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
        build(lake, anew=force, views=views)
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
