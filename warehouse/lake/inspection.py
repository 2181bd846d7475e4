"""What lies in a lake's folder and should not, and what should and does not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import TEMPORARY, checksum
from warehouse.lake.commits import Commit, Shard, commit_names, read_commit
from warehouse.lake.lake import Lake
from warehouse.storage.objects import AT_ONCE, Objects

BUILDING = "catalog.building"


@dataclass(frozen=True)
class Leftover:
    """A file no reader sees: `path` is relative to the lake, `bytes` its size.

    `kind` is "temporary" (a write that was cut short, or is going on right now) or "uncommitted" (a
    shard whose commit never came).
    """

    path: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Damaged:
    """A commit record or committed shard that cannot be trusted, and what is wrong with it."""

    path: str
    problem: str


def readable_commits(lake: Lake) -> tuple[list[Commit], list[Damaged]]:
    """All commits that can be read, oldest first, and the records that cannot."""
    commits, unreadable = [], []
    for name in commit_names(lake):
        try:
            commits.append(read_commit(lake, name))
        except LayerhouseError:
            unreadable.append(Damaged(f"commits/{name}.json", "cannot be read"))
    return sorted(commits, key=lambda commit: commit.order), unreadable


def leftovers(lake: Lake, committed: Set[str] | None) -> list[Leftover]:
    """Files of the lake that belong to no commit; `committed` holds the paths of all shards.

    None says that not all commits are known: then only temporary files are told.
    """
    return [
        Leftover(path, kind, size)
        for path, size in _files(lake)
        if (kind := _kind(path)) == "temporary"
        or (kind and committed is not None and path not in committed)
    ]


def _files(lake: Lake) -> Iterator[tuple[str, int]]:
    """(path relative to the lake, bytes) of every file; one that vanishes meanwhile is left out.

    Of a bucket, its objects and what this machine was writing for it.
    """
    if lake.remote is not None:
        for key, entry in sorted(lake.remote.entries("").items()):
            if not key.startswith("quarantine/"):
                yield key, entry.size
        here = _files(Lake(lake.root))
        yield from ((path, size) for path, size in here if _kind(path) == "temporary")
        return
    for folder, inner, names in os.walk(lake.root):
        # What a repair has taken out lies there to be looked at.
        inner[:] = sorted(name for name in inner if name != "quarantine")
        for name in sorted(names):
            path = Path(folder, name)
            try:
                yield path.relative_to(lake.root).as_posix(), path.stat().st_size
            except OSError:
                continue


def _kind(path: str) -> str | None:
    if path.endswith(TEMPORARY) or path.startswith(BUILDING):
        return "temporary"
    return "uncommitted" if path.endswith(".parquet") else None


def damaged_shards(lake: Lake, shards: Iterable[Shard], *, verify: bool) -> list[Damaged]:
    """Committed shards that are missing or of another size; with `verify` each file is read, too.

    Reading finds flipped bits at the speed of the disk; sizes alone take a moment.
    """
    if lake.remote is not None:
        found = _problems_in_bucket(lake.remote, list(shards), verify=verify)
    else:
        found = {shard.path: _problem(lake, shard, verify=verify) for shard in shards}
    return [Damaged(path, problem) for path, problem in sorted(found.items()) if problem]


def _problems_in_bucket(
    remote: Objects, shards: list[Shard], *, verify: bool
) -> dict[str, str | None]:
    """The sizes come from one listing; to verify, every object is fetched and none is kept."""
    found = remote.entries("")

    def problem(shard: Shard) -> str | None:
        if shard.path not in found:
            return "is missing"
        if (size := found[shard.path].size) != shard.bytes:
            return f"has {size:,} bytes instead of {shard.bytes:,}"
        if verify and remote.checksum(shard.path) != shard.checksum:
            return "has another checksum than its commit recorded"
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([s.path for s in shards], pool.map(problem, shards), strict=True))


def _problem(lake: Lake, shard: Shard, *, verify: bool) -> str | None:
    path = lake.root / shard.path
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            return f"has {size:,} bytes instead of {shard.bytes:,}"
        if verify and checksum(path) != shard.checksum:
            return "has another checksum than its commit recorded"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None
