"""What a lake asks of the place where its files lie; a folder and a bucket each answer it.

Commit records are read from this machine in either case: in a folder they lie there, of a bucket
copies are kept. Where two agents could do the same work, a folder has locks, which all who write to
it see; in a bucket only processes of one machine do, and the rest is found out at the commit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import UsageError
from warehouse.files import TEMPORARY

if TYPE_CHECKING:
    import duckdb

    from warehouse.storage.byte_ranges import ObjectReader

CATALOGUE = "catalog.duckdb"

QUARANTINE = "quarantine"
"""Where a repair puts what it takes out; it lies there to be looked at and is read by nobody."""

DELTA_LOG, DELTA_ROWS = "_delta_log", "_delta_rows"
"""In a table's folder, what its Delta log is made of and the files that only this names; both can
be made anew at any time."""

BUILDING = "catalog.building"
"""A catalogue under construction. No glob for catalogues or shards matches it or what DuckDB puts
beside it."""


@dataclass(frozen=True)
class Shard:
    """One immutable Parquet file; `path` is relative to the lake and uses forward slashes."""

    table: str
    path: str
    rows: int
    bytes: int
    checksum: str

    def problem(self, size: int, checksum: Callable[[], str] | None) -> str | None:
        """What is wrong with a file of this size found in its place; its bytes are looked at last,
        and only if there is a `checksum` to ask."""
        if size != self.bytes:
            return f"has {size:,} bytes instead of {self.bytes:,}"
        if checksum is not None and checksum() != self.checksum:
            return "has another checksum than its commit recorded"
        return None


@dataclass(frozen=True)
class Draft:
    """A shard that is written, under a name on this machine that no reader looks for.

    `folder`, relative to the lake, is where it belongs.
    """

    table: str
    folder: str
    file: Path
    rows: int
    bytes: int
    checksum: str

    def shard(self, path: str) -> Shard:
        return Shard(self.table, path, self.rows, self.bytes, self.checksum)


@dataclass(frozen=True)
class Turn:
    """A writer's chance to add a commit: the ids of all that there are, and the number it would
    get among them. In a folder, where one writer at a time has a turn, it needs none."""

    names: frozenset[str]
    number: int = 0


class Store(ABC):
    """Where the files of one lake lie. `root` is this machine's folder of it.

    Paths are relative to the lake and use forward slashes. What cannot be reached raises OSError in
    a folder and LayerhouseError in a bucket.
    """

    root: Path

    locks_reach_everyone: bool
    """Whether all who may write to the lake see the locks in `root`."""

    @abstractmethod
    def require(self) -> None:
        """Raise UsageError unless there is a lake, or an empty folder fit to become one."""

    @abstractmethod
    def commit_names(self) -> list[str]:
        """The ids of all commits, in no order; their records can be read in `root` then."""

    @abstractmethod
    def look_again(self) -> None:
        """See to it that commit records are read as they lie in the store, not as once copied."""

    # Writing.

    @abstractmethod
    def receive(self, draft: Draft) -> None:
        """Take a draft's bytes, if that must come before its commit."""

    @abstractmethod
    def withdraw(self, drafts: Iterable[Draft]) -> None:
        """Let go of drafts that will be in no commit."""

    @abstractmethod
    def turn(self) -> Turn:
        """What a commit must know that is to be the lake's next; asked under its lock."""

    @abstractmethod
    def path(self, draft: Draft, commit_id: str) -> str:
        """The path that a draft gets in a commit."""

    @abstractmethod
    def enter(self, turn: Turn, commit_id: str, record: str, drafts: Sequence[Draft]) -> bool:
        """Make a commit visible at one instant, its shards having their names before; False where
        another machine's took the turn. Raises OSError with nothing visible and no shard left."""

    # Reading.

    @abstractmethod
    def open(self, path: str) -> Path | ObjectReader:
        """A shard as pyarrow reads it."""

    @abstractmethod
    def size(self, path: str) -> int:
        """A shard's bytes. Raises FileNotFoundError where there is none."""

    @abstractmethod
    def fetch(self, shards: Mapping[str, Sequence[Shard]]) -> None:
        """See to it that these shards, by commit id, are there, and in `root` unless they are
        vectors. Raises LayerhouseError for one that is missing or damaged."""

    @abstractmethod
    def scanned_by(self, con: duckdb.DuckDBPyConnection) -> str:
        """Let a connection read shards; returns what it puts before their paths."""

    # Looking after it.

    @abstractmethod
    def files(self) -> Iterator[tuple[str, int]]:
        """(path, bytes) of every file but those in quarantine, what this machine is writing among
        them; one that vanishes meanwhile is left out."""

    @abstractmethod
    def problems(self, shards: Sequence[Shard], *, verify: bool) -> dict[str, str]:
        """By path, what is wrong with shards; with `verify` every byte is read."""

    @abstractmethod
    def marks(self, shards: Sequence[Shard]) -> dict[str, str]:
        """By path, what is another whenever a shard's file was written; "" for a missing one. None
        at all where the store keeps checksums of its own."""

    @abstractmethod
    def delete_dead(self, path: str, age: timedelta) -> bool:
        """Delete a file that nobody has touched for so long, under the lake's lock; returns whether
        that was done. Nothing is where a writer might still commit it."""

    @abstractmethod
    def delete(self, paths: Sequence[str]) -> None:
        """Delete shards that no commit names for readers; one that is gone already is no error."""

    @abstractmethod
    def delete_records(self, commit_ids: Sequence[str]) -> None:
        """Delete the records of commits that another one tells of, under the lake's lock; one that
        is gone already is no error."""

    @abstractmethod
    def is_outlived(self, folder: str) -> bool:
        """Whether no commit can name any more what was put aside into a folder: none was lost, as
        the lake's commits have every number, and others came since. Never so of a folder's lake,
        where each run counts its own."""

    @abstractmethod
    def forget(self) -> None:
        """Delete what this machine kept of shards that the store has no more."""

    @abstractmethod
    def set_aside(
        self, commit_id: str, shards: Sequence[Shard] | None, folder: str
    ) -> tuple[str, ...]:
        """Move a commit's record, then its shards, into a folder; returns what was there.

        `commit_names` has told of the commit; None for shards says that its record cannot be read.
        """

    @abstractmethod
    def put_aside(
        self, paths: Sequence[str], folder: str, why: str, age: timedelta
    ) -> tuple[str, ...]:
        """Move files that no commit names into a folder, with a note of the reason, under the
        lake's lock; returns which. In a bucket, where the lock keeps out no writer of another
        machine that might still commit them, only those that were written so long ago."""

    @abstractmethod
    def recall(self, shard: Shard) -> bool:
        """Bring a missing shard back from quarantine, byte for byte as it was committed; returns
        whether it lay there."""

    @abstractmethod
    def quarantined(self) -> Iterator[tuple[str, int]]:
        """(path, bytes) of every file in quarantine."""


def is_passing(path: str) -> bool:
    """Whether a file is one that a writer or builder is at, or was killed at."""
    return path.endswith(TEMPORARY) or path.startswith(BUILDING)


def no_lake(place: object) -> UsageError:
    return UsageError(
        f"there is no lake at {place}; `layerhouse demo` or `layerhouse extract` makes "
        "one, and --lake or LAYERHOUSE_LAKE names another"
    )
