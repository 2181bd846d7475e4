"""What runs did so far, read from their commit records alone: no catalogue is needed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import (
    Commit,
    ends_of,
    is_live,
    list_commits,
    number_of,
    read_commit,
    removals,
)
from warehouse.lake.lake import Lake


@dataclass(frozen=True)
class History:
    """The commits of one run so far, whoever wrote them, oldest first.

    Those that a removal took out are not among them, but have had their numbers: `next`, that of
    the run's next commit, comes after all that there ever were.
    """

    commits: list[Commit]
    next: int

    @classmethod
    def of(cls, lake: Lake, run_id: str, names: Iterable[str] | None = None) -> "History":
        """Among the commits of these ids, by default all that the lake has now."""
        names = lake.store.commit_names() if names is None else names
        ends = ends_of(removals(lake, names))
        own = [name for name in names if name.rpartition("-")[0] == run_id]
        found = [read_commit(lake, name) for name in own if is_live(name, ends)]
        last = max([ends.get(run_id, -1), *map(number_of, own)])
        return cls(sorted(found, key=lambda commit: commit.n), last + 1)

    @property
    def started_at(self) -> datetime | None:
        if not self.commits:
            return None
        return datetime.fromisoformat(self.commits[0].row["started_at"])

    @property
    def closing(self) -> Commit | None:
        """The commit that finished the run, unless it was reopened later."""
        return self.commits[-1] if self.commits and self.commits[-1].is_finish else None

    @property
    def is_told(self) -> bool:
        """Whether a shard holds the run's own row."""
        return any(shard.table == "run" for commit in self.commits for shard in commit.shards)

    @property
    def holds_rows(self) -> bool:
        """Whether a shard holds more than what the run says of itself."""
        return any(shard.table != "run" for commit in self.commits for shard in commit.shards)

    @property
    def n_bytes(self) -> int:
        return sum(shard.bytes for commit in self.commits for shard in commit.shards)

    def took(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        """What the run took with these notes of one more commit; None for what is not counted."""
        parts = [*(commit.notes for commit in self.commits), notes]
        seconds: dict[str, float] = {}
        for part in parts:
            for work, taken in part.get("seconds", {}).items():
                seconds[work] = round(seconds.get(work, 0.0) + taken, 3)
        images = [part["n_images"] for part in parts if "n_images" in part]
        return {"seconds": seconds or None, "n_images": sum(images) if images else None}

    def already(self, covers: Mapping[str, Any], *, finished: bool) -> Commit | None:
        """The commit that did the same work before, if any; refuses to add to a finished run."""
        same = [commit for commit in self.commits if covers and commit.covers == covers]
        finish = self.closing
        if finish and not finished and not same and "reopens" not in covers:
            raise LayerhouseError(
                f"the run {finish.run_id} was finished by another process; run the command again "
                "to see what is left to do"
            )
        return finish if finished else next(iter(same), None)


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
