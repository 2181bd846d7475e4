"""What lies in a lake's folder and should not, and what should and does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from warehouse.lake.commits import (
    Commit,
    NewerRecordError,
    RecordError,
    number_of,
    read_commit,
)
from warehouse.lake.lake import Lake
from warehouse.lake.standing import Standing
from warehouse.schema import tables
from warehouse.storage import DELTA_LOG, DELTA_ROWS, QUARANTINE, Shard, is_passing


@dataclass(frozen=True)
class Leftover:
    """A file no reader sees: `path` is relative to the lake, `bytes` its size.

    `kind` is "temporary" (a write that was cut short, or is going on right now), "uncommitted" (a
    shard whose commit never came), "removed" (a shard that a removal took out) or "joined" (a shard
    or record whose place a compaction took).
    """

    path: str
    kind: str
    bytes: int


FREED = ("removed", "joined")
"""The kinds that `free` deletes."""


@dataclass(frozen=True)
class Damaged:
    """A commit record or committed shard that cannot be trusted, and what is wrong with it."""

    path: str
    problem: str


@dataclass(frozen=True)
class Stock:
    """All commits of a lake by their records, oldest first: those that readers see, those that
    removals took out, those whose place compactions took, the records that cannot be read, and what
    is said of those of a newer Layerhouse."""

    commits: list[Commit]
    removed: list[Commit]
    joined: list[Commit]
    standing: Standing
    unreadable: list[Damaged]
    newer: list[NewerRecordError]

    @property
    def is_known(self) -> bool:
        """Whether every record could be read, so that a file that none names is named nowhere."""
        return not self.unreadable and not self.newer

    @property
    def every(self) -> list[Commit]:
        return [*self.commits, *self.removed, *self.joined]

    @property
    def shards(self) -> list[Shard]:
        return [shard for commit in self.commits for shard in commit.shards]


def take_stock(lake: Lake) -> Stock:
    while True:
        names = lake.store.commit_names()
        found = _stock(lake, names)
        # A record that was freed meanwhile is told of by another one.
        if not found.unreadable or set(names) <= set(lake.store.commit_names()):
            return found


def _stock(lake: Lake, names: Iterable[str]) -> Stock:
    commits, unreadable, newer = [], [], []
    for name in sorted(names):
        try:
            commits.append(read_commit(lake, name))
        except RecordError as error:
            unreadable.append(Damaged(f"commits/{name}.json", f"cannot be read: {error.why}"))
        except NewerRecordError as error:
            newer.append(error)
    commits.sort(key=lambda commit: commit.order)
    standing = Standing(commits)
    live = [commit for commit in commits if standing.is_live(commit.commit_id)]
    removed = [commit for commit in commits if standing.is_removed(commit.commit_id)]
    gone = {commit.commit_id for commit in (*live, *removed)}
    joined = [commit for commit in commits if commit.commit_id not in gone]
    return Stock(live, removed, joined, standing, unreadable, newer)


def leftovers(lake: Lake, stock: Stock) -> list[Leftover]:
    """Files of the lake that belong to no commit that readers see.

    Where not all commits can be read, what no commit names is not told but for temporary files.
    """
    kinds = {
        shard.path: kind
        for kind, commits in (("joined", stock.joined), ("removed", stock.removed))
        for commit in commits
        for shard in commit.shards
        if _is_shard(shard.path)
    }
    kinds |= {shard.path: "" for shard in stock.shards}
    unnamed = "uncommitted" if stock.is_known else ""
    return [
        Leftover(path, kind, size)
        for path, size in lake.store.files()
        if (kind := "temporary" if is_passing(path) else kinds.get(path, _unnamed(path, unnamed)))
    ]


def _is_shard(path: str) -> bool:
    """Whether a file may be one: a record made by hand may name any of the lake's."""
    return path.endswith(".parquet") and path.split("/")[0] in tables()


def _unnamed(path: str, kind: str) -> str:
    """What a file is that no commit names; nothing of a Delta log can be a shard."""
    is_delta = path.split("/")[1:2] in ([DELTA_LOG], [DELTA_ROWS])
    return kind if path.endswith(".parquet") and not is_delta else ""


def dead_in_quarantine(lake: Lake, stock: Stock) -> list[Leftover]:
    """Shards set aside because no commit named them, which none can name any more.

    That is known of one whose commit's number another file's record has, in a run whose records
    have every number: else its record may have been lost, or not yet be copied. In a bucket, where
    names do not tell numbers, it is known of what others committed after since it was set aside.
    """
    held: dict[str, set[int]] = defaultdict(set)
    for commit in stock.every:
        held[commit.run_id].add(commit.n)
        held[commit.of] |= commit.numbers
    named = {shard.path for commit in stock.every for shard in commit.shards}
    # What lies in it by itself no repair put there.
    found = {path: size for path, size in lake.store.quarantined() if path.count("/") > 1}
    folders = {path.split("/")[1] for path in found}
    folders -= {path.split("/")[1] for path in found if path.split("/")[2] == "commits"}
    outlived = {folder for folder in folders if lake.store.is_outlived(f"{QUARANTINE}/{folder}")}
    dead = []
    for path, size in found.items():
        _, folder, shard = path.split("/", 2)
        commit_id = PurePosixPath(shard).stem.removeprefix("part-")
        numbers = held.get(commit_id.rpartition("-")[0], set())
        damaged = f"{QUARANTINE}/{folder}/commits/{commit_id}.json" in found
        is_dead = _holds(numbers, commit_id) or folder in outlived
        if _is_shard(shard) and shard not in named and not damaged and is_dead:
            dead.append(Leftover(path, "removed", size))
    return dead


def _holds(numbers: set[int], commit_id: str) -> bool:
    return number_of(commit_id) in numbers and max(numbers) == len(numbers) - 1


def damaged_shards(lake: Lake, shards: Iterable[Shard], *, verify: bool) -> list[Damaged]:
    """Committed shards that are missing or of another size; with `verify` each file is read, too.

    Reading finds flipped bits at the speed of the disk; sizes alone take a moment.
    """
    found = lake.store.problems(list(shards), verify=verify)
    return [Damaged(path, problem) for path, problem in sorted(found.items())]
