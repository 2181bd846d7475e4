"""Which commit records count: those that no removal took out and no compaction took the place of.

Both are commits themselves, whose ids tell what they are, so that a listing and these few records
say which of all the others readers see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import (
    Commit,
    RecordError,
    is_compaction,
    is_removal,
    number_of,
    read_commit,
    run_of,
)
from warehouse.lake.lake import Lake

Read = TypeVar("Read")


class Standing:
    """What the removals and compactions of a lake, in any order, say of its commits.

    `ends` has by run the number of the last commit that was taken out, `joined` by run the numbers
    of those whose place a compaction takes, `compactions` the ones that count, `torn` those that
    joined commits of which some were taken out, as a removal that was lost came back, and
    `samples` by dataset the places of samples that were taken out, by mark.
    """

    def __init__(self, commits: Iterable[Commit]) -> None:
        said = list(commits)
        self.ends: dict[str, int] = {}
        for out in (out for commit in said for out in commit.removes):
            self.ends[out.run.run_id] = max(out.last, self.ends.get(out.run.run_id, -1))
        self.samples: dict[str, dict[str, int]] = defaultdict(dict)
        for commit in said:
            if marks := commit.removes_samples:
                self.samples[commit.run["config"]["name"]] |= marks
        self.joined: dict[str, set[int]] = defaultdict(set)
        self.compactions: list[Commit] = []
        self._removed: set[str] = set()
        self._replaced: set[str] = set()
        found = [commit for commit in said if commit.joins is not None]
        # Of two that stand for the same commits the later counts, and of one that stands for all
        # that another does and more, that.
        for one in sorted(found, key=lambda one: (len(one.numbers), one.order), reverse=True):
            if max(one.numbers) <= self.ends.get(one.of, -1):
                self._removed.add(one.commit_id)
            elif any(c.of == one.of and one.numbers <= c.numbers for c in self.compactions):
                self._replaced.add(one.commit_id)
            else:
                self.compactions.append(one)
                self.joined[one.of] |= one.numbers
        self.last = dict(self.ends)
        """By run, the number of the last commit that any of these tells of."""
        for one in found:
            self.last[one.of] = max(self.last.get(one.of, -1), *one.numbers)
        self.torn = [c for c in self.compactions if min(c.numbers) <= self.ends.get(c.of, -1)]

    @classmethod
    def of(cls, lake: Lake, names: Iterable[str]) -> Standing:
        """Among the commits of these ids. Raises LayerhouseError where that is not to be told."""
        found = cls(read_commit(lake, name) for name in names if _tells(name))
        for one in found.torn:
            raise LayerhouseError(
                f"the compaction {one.commit_id} of {lake} joined commits that a removal took out; "
                "run `layerhouse status --repair` to set it aside"
            )
        return found

    def is_removed(self, name: str) -> bool:
        """Whether a removal took out the commit of that id."""
        run_id = run_of(name)
        is_taken = run_id in self.ends and number_of(name) <= self.ends[run_id]
        return is_taken or name in self._removed

    def is_replaced(self, name: str) -> bool:
        """Whether a compaction took the place of the commit of that id."""
        return name in self._replaced or number_of(name) in self.joined.get(run_of(name), ())

    def is_live(self, name: str) -> bool:
        """Whether readers see the commit of that id."""
        return not self.is_removed(name) and not self.is_replaced(name)


def _tells(name: str) -> bool:
    return is_removal(name) or is_compaction(name)


def commit_names(lake: Lake, run_id: str | None = None) -> list[str]:
    """The ids of all commits whose records count, or of one run's, sorted.

    From the folder listing and the records of removals and compactions alone; of a lake in a
    bucket, other machines' commits are taken in first.
    """
    return settled(lake, lambda names: _live(lake, names, run_id))


def _live(lake: Lake, names: Iterable[str], run_id: str | None = None) -> list[str]:
    standing = Standing.of(lake, names)
    return sorted(
        name for name in names if standing.is_live(name) and run_id in (None, run_of(name))
    )


def settled(lake: Lake, read: Callable[[list[str]], Read]) -> Read:
    """What is read of the commits of a lake, given their ids; again where some of the records were
    freed meanwhile, as another one tells of them by then."""
    while True:
        names = lake.store.commit_names()
        try:
            return read(names)
        except RecordError:
            if set(names) <= set(lake.store.commit_names()):
                raise


def told_by(lake: Lake, names: Iterable[str]) -> list[Commit]:
    """The commits that the compactions among these ids took the place of."""
    return [one for name in names if is_compaction(name) for one in read_commit(lake, name).work]


def list_records(lake: Lake) -> list[Commit]:
    """The commits of a lake by the records that count, a compaction being one, oldest first."""

    def read(names: list[str]) -> list[Commit]:
        return [read_commit(lake, name) for name in _live(lake, names)]

    return sorted(settled(lake, read), key=lambda one: one.order)


def list_commits(
    lake: Lake,
    *,
    command: str | None = None,
    model_id: str | None = None,
    dataset_id: str | None = None,
) -> list[Commit]:
    """Commits of the lake that no removal took out, oldest first, narrowed to those whose given
    fields are equal; those that were joined as the compaction tells of them.

    A run's id stands for all of these fields, so that of a run of others one record is read: of a
    lake with the runs of many agents nearly none. A folder without commits, or none at all, has no
    commits. Raises LayerhouseError for a record that cannot be read.
    """

    asked_for = {"command": command, "model_id": model_id, "dataset_id": dataset_id}

    def is_asked(commit: Commit) -> bool:
        about = commit.row if commit.joins is None else commit.joins["run"]
        return all(value in (None, about[name]) for name, value in asked_for.items())

    def read(names: list[str]) -> list[Commit]:
        asked: dict[str, bool] = {}
        found: list[Commit] = []
        for name in _live(lake, names):
            if is_compaction(name):
                joined = read_commit(lake, name)
                found += joined.work if is_asked(joined) else []
            elif command is None or name.startswith(f"{command}-"):
                run_id = run_of(name)
                if run_id not in asked:
                    asked[run_id] = is_asked(read_commit(lake, name))
                if asked[run_id]:
                    found.append(read_commit(lake, name))
        return found

    return sorted(settled(lake, read), key=lambda commit: commit.order)
