"""What lies in a lake's folder and should not, and what should and does not."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit, commit_names, read_commit
from warehouse.lake.lake import Lake
from warehouse.storage import Shard, is_passing


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
        for path, size in lake.store.files()
        if (kind := _kind(path)) == "temporary"
        or (kind and committed is not None and path not in committed)
    ]


def _kind(path: str) -> str | None:
    if is_passing(path):
        return "temporary"
    return "uncommitted" if path.endswith(".parquet") else None


def damaged_shards(lake: Lake, shards: Iterable[Shard], *, verify: bool) -> list[Damaged]:
    """Committed shards that are missing or of another size; with `verify` each file is read, too.

    Reading finds flipped bits at the speed of the disk; sizes alone take a moment.
    """
    found = lake.store.problems(list(shards), verify=verify)
    return [Damaged(path, problem) for path, problem in sorted(found.items())]
