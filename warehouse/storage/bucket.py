"""A lake in a bucket: shards under names that nobody else can take, and commits by number.

A bucket knows no rename, no folder and no lock. What it does know is to make an object only where
none has that name yet, at one instant, and on that everything here stands: a commit is the one
record that takes the next number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.storage.fetching import damaged, fetch
from warehouse.storage.folder import Folder, record_names
from warehouse.storage.mirror import (
    Position,
    commit_numbers,
    follow,
    record_key,
    record_keys,
    retire,
)
from warehouse.storage.objects import AT_ONCE, Objects, objects_at
from warehouse.storage.store import QUARANTINE, Draft, Shard, Store, Turn, is_passing, no_lake
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import duckdb

    from warehouse.storage.byte_ranges import ObjectReader

NOTE = "why.txt"
NEXT = re.compile(rb"next commit was to be number (\d{1,18})\.")
"""What the note beside files that were set aside says of the lake then."""


@dataclass(frozen=True)
class Bucket(Store):
    """The store of a lake behind an s3:// or gs:// URL; `root` holds what is small of it: copies of
    commit records and of the small tables' shards, and this machine's locks."""

    root: Path
    url: str

    locks_reach_everyone = False

    @property
    def objects(self) -> Objects:
        return objects_at(self.url)

    def follow(self) -> Position:
        """Take in what other machines committed."""
        return follow(self.root, self.objects)

    def require(self) -> None:
        """A bucket has no empty folders: there is a lake where there is a commit."""
        if self.follow().is_empty:
            raise no_lake(self.url)

    def commit_names(self) -> list[str]:
        self.follow()
        return record_names(self.root)

    def look_again(self) -> None:
        follow(self.root, self.objects, anew=True)

    def receive(self, draft: Draft) -> None:
        self.objects.upload(draft.file, _key(draft))

    def withdraw(self, drafts: Iterable[Draft]) -> None:
        self.objects.delete([_key(draft) for draft in drafts])

    def turn(self) -> Turn:
        position = self.follow()
        return Turn(frozenset(record_names(self.root)), position.next)

    def path(self, draft: Draft, commit_id: str) -> str:
        """One that it has before its commit: nobody else can take it."""
        del commit_id
        return _key(draft)

    def enter(self, turn: Turn, commit_id: str, record: str, drafts: Sequence[Draft]) -> bool:
        del commit_id, drafts
        key, content = record_key(turn.number), record.encode()
        # Where the reply was lost and the request sent again, the other writer is this one.
        return self.objects.create(key, content) or self.objects.read(key) == content

    def open(self, path: str) -> ObjectReader:
        # fsspec, which it stands on, comes with the extra for buckets.
        from warehouse.storage.byte_ranges import ObjectReader

        return ObjectReader(self.objects, path)

    def size(self, path: str) -> int:
        return self.open(path).size

    def fetch(self, shards: Mapping[str, Sequence[Shard]]) -> None:
        """Vectors stay in the bucket, where they are only looked for."""
        every = [shard for those in shards.values() for shard in those]
        fetch(self.root, self.objects, [one for one in every if one.table not in VECTOR_TABLES])
        vectors = [shard for shard in every if shard.table in VECTOR_TABLES]
        found = {
            key: entry.size
            for folder in sorted({shard.path.rpartition("/")[0] for shard in vectors})
            for key, entry in self.objects.entries(folder).items()
        }
        for shard in vectors:
            if found.get(shard.path) != shard.bytes:
                raise damaged(shard, self.url)

    def scanned_by(self, con: duckdb.DuckDBPyConnection) -> str:
        from warehouse.storage.byte_ranges import ByteRanges

        files = ByteRanges(self.objects)
        if not con.filesystem_is_registered(files.protocol):
            con.register_filesystem(files)
        return f"{self.url}/"

    def files(self) -> Iterator[tuple[str, int]]:
        for key, entry in sorted(self.objects.entries("").items()):
            if not key.startswith(f"{QUARANTINE}/"):
                yield key, entry.size
        yield from (found for found in Folder(self.root).files() if is_passing(found[0]))

    def problems(self, shards: Sequence[Shard], *, verify: bool) -> dict[str, str]:
        """The sizes come from one listing; to verify, every object is fetched and none is kept."""
        held = self.objects.entries("")

        def problem(shard: Shard) -> str | None:
            if shard.path not in held:
                return "is missing"
            return shard.problem(held[shard.path].size, reading(shard) if verify else None)

        def reading(shard: Shard) -> Callable[[], str]:
            return lambda: self.objects.checksum(shard.path)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = zip(shards, pool.map(problem, shards), strict=True)
            return {shard.path: said for shard, said in found if said}

    def marks(self, shards: Sequence[Shard]) -> dict[str, str]:
        del shards
        return {}

    def delete_dead(self, path: str, age: timedelta) -> bool:
        """No lock tells here whether a writer on another machine is about to commit the file."""
        del path, age
        return False

    def delete(self, paths: Sequence[str]) -> None:
        """Also from this machine's mirror; other machines' are not within reach."""
        self.objects.delete(paths)
        Folder(self.root).delete(paths)

    def delete_records(self, commit_ids: Sequence[str]) -> None:
        """Their numbers stay taken: a writer that was frozen before one of them was made would
        else get it, and not have looked at what is joined by now."""
        keys = record_keys(self.root)
        self.objects.spend([keys[name] for name in commit_ids if name in keys])
        self.follow()

    def is_outlived(self, folder: str) -> bool:
        numbers = commit_numbers(self.objects)
        try:
            said = NEXT.search(self.objects.read(f"{folder}/{NOTE}"))
        except FileNotFoundError:
            return False
        is_whole = numbers == set(range(len(numbers)))
        return is_whole and said is not None and int(said[1]) < len(numbers)

    def forget(self) -> None:
        kept = [path for path, _ in Folder(self.root).files() if path.endswith(".parquet")]
        held = self.objects.entries("")
        Folder(self.root).delete([path for path in kept if path not in held])

    def set_aside(
        self, commit_id: str, shards: Sequence[Shard] | None, folder: str
    ) -> tuple[str, ...]:
        """Without a rename: each object is copied and then deleted.

        Shards of a record that cannot be read stay, as no reader sees them: their names do not tell
        whose they are.
        """
        record = record_keys(self.root)[commit_id]
        retire(self.objects, record)
        moved = []
        for path in (record, *(shard.path for shard in shards or ())):
            try:
                self._move(path, f"{folder}/{path}")
            except FileNotFoundError:
                continue
            moved.append(path)
        return tuple(moved)

    def put_aside(
        self, paths: Sequence[str], folder: str, why: str, age: timedelta
    ) -> tuple[str, ...]:
        """The note of the reason is written first: by its time, which the server gives as it gave
        those of the files, their age is known whatever clocks say. A writer that comes back after
        so long commits what then lies in quarantine, from where a repair brings it back."""
        note, number = f"{folder}/{NOTE}", self.follow().next
        self.objects.create(note, f"{why}\nThe next commit was to be number {number}.\n".encode())
        held = self.objects.entries("")
        old = [
            path for path in paths if path in held and held[note].written - held[path].written > age
        ]
        for path in old:
            self._move(path, f"{folder}/{path}")
        if not old:
            self.objects.delete([note])
        return tuple(old)

    def recall(self, shard: Shard) -> bool:
        for kept, entry in sorted(self.objects.entries(QUARANTINE).items(), reverse=True):
            if kept.split("/", 2)[2:] == [shard.path]:
                checksum = partial(self.objects.checksum, kept)
                if shard.problem(entry.size, checksum) is None:
                    self._move(kept, shard.path)
                    return True
        return False

    def _move(self, path: str, target: str) -> None:
        self.objects.copy(path, target)
        self.objects.delete([path])

    def quarantined(self) -> Iterator[tuple[str, int]]:
        for key, entry in sorted(self.objects.entries(QUARANTINE).items()):
            yield key, entry.size


def _key(draft: Draft) -> str:
    return f"{draft.folder}/part-{draft.file.stem}.parquet"
