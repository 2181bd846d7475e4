"""What every commit begins with, whoever makes it: shards that no reader looks for yet, and a time
that is later than all others'."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warehouse.files import TEMPORARY, checksum, inside, make_folder, write_durably
from warehouse.lake.commits import RecordError, moment_of
from warehouse.lake.lake import Lake
from warehouse.storage import Draft

if TYPE_CHECKING:
    from warehouse.lake.shards import Piece


def draft(lake: Lake, run_id: str, piece: Piece, written: ExitStack) -> Draft:
    """Write a shard under a name no reader looks for, one that nobody else can take.

    `written` removes the file in the end, unless it has another name by then.
    """
    from warehouse.lake.shards import write_parquet  # pyarrow, which readers do without

    folder = inside(lake.root, piece.folder)
    make_folder(folder)
    file = folder / f"{run_id}-{uuid.uuid4().hex}{TEMPORARY}"
    written.callback(file.unlink, missing_ok=True)
    write_durably(file, lambda temporary: write_parquet(temporary, piece))
    size, digest = file.stat().st_size, checksum(file)
    made = Draft(piece.table, piece.folder, file, piece.rows.num_rows, size, digest)
    lake.store.receive(made)
    return made


class LaterTimes:
    """Times after those of all commits of the lake, whatever this machine's clock says.

    They are what commits and runs are ordered by, so that of rows with one key the newest counts,
    and lakes whose commits went by clocks alone keep their order.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._seen: frozenset[str] = frozenset()
        self._latest = datetime.min

    def warm(self, names: Iterable[str]) -> None:
        """Look at these commits before anyone waits for it: the first look is at all of them."""
        if not self._seen:
            self.next(frozenset(names))

    def next(self, names: frozenset[str]) -> datetime:
        """One after the commits of these ids."""
        for name in names - self._seen:
            with suppress(RecordError):  # it counts for nobody until it is put back or set aside
                self._latest = max(self._latest, moment_of(self._lake, name))
        self._seen = names
        return max(_now(), self._latest + timedelta(microseconds=1))


def _now() -> datetime:
    """UTC without a zone, as the catalogue's TIMESTAMP columns hold it."""
    return datetime.now(UTC).replace(tzinfo=None)
