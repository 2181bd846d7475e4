"""What runs did so far, read from their commit records alone: no catalogue is needed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import (
    Commit,
    gist,
    is_compaction,
    is_removal,
    number_of,
    read_commit,
    run_of,
)
from warehouse.lake.lake import Lake
from warehouse.lake.standing import Standing, list_commits, settled
from warehouse.vocabulary import SAYS_SEEN


class History:
    """The commits of one run so far, whoever wrote them, by number, and what they add up to.

    Those that a removal took out are not among them, but have had their numbers: `next`, that of
    the run's next commit, comes after all that there ever were. Those that were joined are there as
    the compaction tells of them.
    """

    def __init__(self, commits: Iterable[Commit] = (), after: int = -1) -> None:
        self.commits: list[Commit] = []
        self.next = after + 1
        self.n_bytes = 0
        self.is_told = False
        """Whether a shard holds the run's own row."""
        self.holds_rows = False
        """Whether a shard holds more than what the run says of itself."""
        self._seconds: dict[str, float] = {}
        self._images: int | None = None
        self._alike: dict[Any, list[Commit]] = defaultdict(list)
        for commit in sorted(commits, key=lambda one: one.n):
            self.add(commit)

    @classmethod
    def of(cls, lake: Lake, run_id: str, names: Iterable[str] | None = None) -> "History":
        """Among the commits of these ids, by default all that the lake has now."""
        if names is None:
            return settled(lake, lambda now: cls.of(lake, run_id, now))
        standing = Standing.of(lake, names)
        own = [name for name in names if name.startswith(run_id) and run_of(name) == run_id]
        found = [read_commit(lake, name) for name in own if standing.is_live(name)]
        found += [one for each in standing.compactions if each.of == run_id for one in each.work]
        return cls(found, max([standing.last.get(run_id, -1), *map(number_of, own)]))

    def add(self, commit: Commit) -> None:
        """Take in a commit of a higher number than those before."""
        self.commits.append(commit)
        self.next = max(self.next, commit.n + 1)
        self.n_bytes += commit.n_bytes
        held = {shard.table for shard in commit.shards}
        self.is_told |= "run" in held
        self.holds_rows |= bool(held - {"run"})
        self._seconds, self._images = self._with(commit.notes)
        self._alike[gist(commit.covers)].append(commit)

    @property
    def started_at(self) -> datetime | None:
        if not self.commits:
            return None
        return datetime.fromisoformat(self.commits[0].row["started_at"])

    @property
    def closing(self) -> Commit | None:
        """The commit that finished the run, unless it was reopened later."""
        return self.commits[-1] if self.commits and self.commits[-1].is_finish else None

    def took(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        """What the run took with these notes of one more commit; None for what is not counted."""
        seconds, images = self._with(notes)
        return {"seconds": seconds or None, "n_images": images}

    def _with(self, notes: Mapping[str, Any]) -> tuple[dict[str, float], int | None]:
        seconds, images = dict(self._seconds), self._images
        for work, taken in notes.get("seconds", {}).items():
            seconds[work] = round(seconds.get(work, 0.0) + taken, 3)
        if "n_images" in notes:
            images = (images or 0) + notes["n_images"]
        return seconds, images

    def already(self, covers: Mapping[str, Any], *, finished: bool) -> Commit | None:
        """The commit that did the same work before, if any; refuses to add to a finished run."""
        alike = self._alike.get(gist(covers), []) if covers else []
        same = [commit for commit in alike if commit.covers == covers]
        finish = self.closing
        if finish and not finished and not same and "reopens" not in covers:
            raise LayerhouseError(
                f"the run {finish.run_id} was finished by another process; run the command again "
                "to see what is left to do"
            )
        return finish if finished else next(iter(same), None)


class Following:
    """The history of one run, kept up with: of each commit only the first look reads its record."""

    def __init__(self, lake: Lake, run_id: str) -> None:
        self.lake, self.run_id = lake, run_id
        self._seen: frozenset[str] = frozenset()
        self._history: History | None = None

    def at(self, names: frozenset[str]) -> History:
        """The history among the commits of these ids, which are all that the lake has now."""
        new = names - self._seen
        if self._history is None or not self._goes_on(self._history, names, new):
            self._history = History.of(self.lake, self.run_id, names)
        else:
            own = sorted((name for name in new if run_of(name) == self.run_id), key=number_of)
            for name in own:
                self._history.add(read_commit(self.lake, name))
        self._seen = names
        return self._history

    def _goes_on(self, before: History, names: frozenset[str], new: frozenset[str]) -> bool:
        """Whether the lake has what it had, and beside that only later commits.

        A number is given again only after a repair took out the last commits of a run, so that
        the last one being the same file says that all are.
        """
        if len(names) != len(self._seen) + len(new):
            return False
        if any(is_removal(name) or is_compaction(name) for name in new):
            return False
        if any(run_of(name) == self.run_id and number_of(name) < before.next for name in new):
            return False
        last = before.commits[-1:]
        return last == [] or read_commit(self.lake, last[0].record).work[-1] is last[0]


def find_runs(
    lake: Lake,
    command: str | None = None,
    model_id: str | None = None,
    dataset_id: str | None = None,
) -> list[dict[str, Any]]:
    """The newest `run` row of each matching run, oldest run first; config as an object."""
    rows: dict[str, dict[str, Any]] = {}
    for commit in list_commits(lake, command=command, model_id=model_id, dataset_id=dataset_id):
        rows[commit.run_id] = commit.row
    return list(rows.values())


def tells_nothing_seen(lake: Lake, dataset_id: str | None = None) -> list[tuple[str, str]]:
    """Models and datasets that they were run on, by versions that did not note what the models saw
    of them in training."""
    told: dict[tuple[str, str], bool] = {}
    for commit in list_commits(lake, command="extract", dataset_id=dataset_id):
        key = str(commit.model_id), str(commit.dataset_id)
        told[key] = told.get(key, False) or SAYS_SEEN in commit.covers
    return [key for key, is_told in told.items() if not is_told]


def config_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The differing entries of two configurations for a refusal: 'dtype: "float32" → "float16"'.

    Nested objects are named by a dotted path; an absent entry reads as 'not set'. Empty if equal.
    """
    before, after = dict(_flattened(old)), dict(_flattened(new))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(
        f"{name}: {before.get(name, 'not set')} → {after.get(name, 'not set')}"
        for name in sorted(changed)
    )


def _flattened(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value, sort_keys=True, ensure_ascii=False)
