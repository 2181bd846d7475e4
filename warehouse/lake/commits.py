"""Commit records: the only thing that makes a shard exist for readers."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.lake.facts import REMOVE, RunFacts, TakenOut
from warehouse.lake.lake import Lake
from warehouse.lake.records import LAST_MOMENT, NewerError, parsed, sealed
from warehouse.storage import Shard
from warehouse.untrusted import UnfitError, read_bounded


@dataclass(frozen=True)
class Commit:
    """The shards that became visible together.

    `run` is the run's row as it stood at this commit (config and versions as objects), so that
    nobody has to open a shard to learn what a run was. `covers` is the agent's own note on what
    the commit completed, `notes` what else it has to tell: its `seconds` per kind of work and
    `n_images` are added up in the run's row. `schema` names the newest migration the writer
    knew. `hash` is that of the record's file, filled in on reading.
    """

    run_id: str
    n: int
    command: str
    model_id: str | None
    dataset_id: str | None
    committed_at: str
    covers: dict[str, Any]
    shards: list[Shard]
    run: dict[str, Any] = field(default_factory=dict)
    schema: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    hash: str = ""

    @property
    def commit_id(self) -> str:
        return f"{self.run_id}-{self.n}"

    @cached_property
    def order(self) -> tuple[datetime, str, int]:
        """Later commits replace rows of earlier ones; ties are broken the same way everywhere."""
        return datetime.fromisoformat(self.committed_at), self.run_id, self.n

    @property
    def row(self) -> dict[str, Any]:
        """The run's row; the oldest records say no more of it than of themselves."""
        names = ("run_id", "command", "model_id", "dataset_id")
        known = {name: getattr(self, name) for name in names}
        return {**known, "config": {}, "started_at": self.committed_at, **self.run}

    @property
    def facts(self) -> RunFacts:
        base = self.run.get("config", {}).get("base")
        registers = any(shard.table == "dataset" for shard in self.shards)
        return RunFacts(self.run_id, self.command, self.model_id, self.dataset_id, base, registers)

    @property
    def removes(self) -> list[TakenOut]:
        """What it took out of the lake."""
        if self.command != REMOVE:
            return []
        return [
            TakenOut(RunFacts(**one["run"]), int(one["last"]))
            for one in self.run["config"]["removes"]
        ]

    @property
    def is_finish(self) -> bool:
        return self.run.get("status") == "finished"

    def to_json(self) -> str:
        """Its record. Raises LayerhouseError for what no reader would take."""
        record = asdict(self)
        del record["hash"]
        try:
            return sealed(record)
        except UnfitError as error:
            raise LayerhouseError(
                f"the run {self.run_id} cannot be recorded: {error}; give what is called so "
                "another name or value"
            ) from error


def commit_names(lake: Lake, run_id: str | None = None) -> list[str]:
    """The ids of all commits that no removal took out, or of one run's, sorted.

    From the folder listing and the records of removals alone; of a lake in a bucket, other
    machines' commits are taken in first.
    """
    names = lake.store.commit_names()
    ends = ends_of(removals(lake, names))
    return sorted(
        name for name in names if is_live(name, ends) and run_id in (None, name.rpartition("-")[0])
    )


def is_removal(name: str) -> bool:
    """Whether a commit of that id takes out others."""
    return name.startswith(f"{REMOVE}-")


def removals(lake: Lake, names: Iterable[str]) -> list[Commit]:
    """The commits of these ids that take out others."""
    return [read_commit(lake, name) for name in names if is_removal(name)]


def ends_of(found: Iterable[Commit]) -> dict[str, int]:
    """By run, the number of the last commit that these removals took out."""
    ends: dict[str, int] = {}
    for one in (one for commit in found for one in commit.removes):
        ends[one.run.run_id] = max(one.last, ends.get(one.run.run_id, -1))
    return ends


def is_live(name: str, ends: Mapping[str, int]) -> bool:
    """Whether readers see the commit of that id where removals took out runs up to `ends`."""
    run_id, _, _ = name.rpartition("-")
    return run_id not in ends or number_of(name) > ends[run_id]


def run_of(name: str) -> str:
    """The run of a commit, by its id."""
    return name.rpartition("-")[0]


def number_of(name: str) -> int:
    """A commit's number among those of its run, by its id; -1 where that is no commit's."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1


def read_commit(lake: Lake, commit_id: str) -> Commit:
    """A commit by its record. Raises RecordError for one that is missing, damaged or says what no
    writer would, NewerRecordError for a newer Layerhouse's."""
    path = f"{lake.root}/commits/{commit_id}.json"
    try:
        about = os.lstat(path)
    except OSError as error:
        raise _damaged(Path(path), error) from error
    return _parsed(path, commit_id, (about.st_ino, about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=2**16)
def _parsed(place: str, commit_id: str, _state: tuple[int, int, int]) -> Commit:
    """Records do not change, and an agent looks at all of them before every range it takes.

    Only a repair can make room for another record of the same name; `_state` tells the two apart.
    """
    path = Path(place)
    try:
        text = read_bounded(path)
        record = parsed(text)
    except NewerError as error:
        raise NewerRecordError(
            f"the commit record {path} was written by a newer Layerhouse (its schema has {error}); "
            "upgrade Layerhouse to read this lake"
        ) from error
    except (OSError, UnfitError) as error:
        raise _damaged(path, error) from error
    shards = [Shard(**shard) for shard in record.pop("shards")]
    commit = Commit(shards=shards, hash=_hash(text), **record)
    if commit.commit_id != commit_id:
        raise _damaged(path, f"it is that of {commit.commit_id}")
    return commit


def moment_of(lake: Lake, commit_id: str) -> datetime:
    """When a commit was made. Raises LayerhouseError where it leaves no time for another."""
    moment = read_commit(lake, commit_id).order[0]
    if moment >= LAST_MOMENT:
        raise LayerhouseError(
            f"the commit record {lake.commits_dir / commit_id}.json says that it was made on "
            f"{moment:%Y-%m-%d}, after which nothing can come; run `layerhouse status --repair` "
            "to set aside what says so"
        )
    return moment


def commit_hash(lake: Lake, commit_id: str) -> str:
    """The hash of the record file as it lies there now; LayerhouseError where it is no file."""
    path = lake.commits_dir / f"{commit_id}.json"
    try:
        return _hash(read_bounded(path))
    except (OSError, UnfitError) as error:
        raise _damaged(path, error) from error


def _hash(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()


def list_commits(
    lake: Lake,
    *,
    command: str | None = None,
    model_id: str | None = None,
    dataset_id: str | None = None,
) -> list[Commit]:
    """Commits of the lake that no removal took out, oldest first, narrowed to those whose given
    fields are equal.

    A folder without commits, or none at all, has no commits. Raises LayerhouseError for a record
    that cannot be read.
    """
    commits = [
        read_commit(lake, name)
        for name in commit_names(lake)
        if command is None or name.startswith(f"{command}-")
    ]
    kept = [
        commit
        for commit in commits
        if command in (None, commit.command)
        and model_id in (None, commit.model_id)
        and dataset_id in (None, commit.dataset_id)
    ]
    return sorted(kept, key=lambda commit: commit.order)


def done_twice(commits: Iterable[Commit]) -> list[tuple[Commit, Commit]]:
    """Commits, oldest first, of one run that cover the same, each with the one that did it again.

    No writer does that: a record was lost, its work done again, and the record put back.
    """
    latest: dict[tuple[str, str], Commit] = {}
    found = []
    for commit in sorted(commits, key=lambda one: one.n):
        if commit.covers and commit.shards:
            key = commit.run_id, json.dumps(commit.covers, sort_keys=True)
            if key in latest:
                found.append((latest[key], commit))
            latest[key] = commit
    return found


def bookkeeping(commits: Iterable[Commit]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the catalogue's own tables `commit_record` and `shard`, which are in no shard."""
    records, shards = [], []
    for c in commits:
        at = c.order[0]
        records.append(
            (c.commit_id, c.run_id, c.n, c.command, c.model_id, c.dataset_id, at, c.hash)
        )
        shards += [(s.path, s.table, c.commit_id, s.rows, s.bytes, s.checksum) for s in c.shards]
    return {"commit_record": records, "shard": shards}


class NewerRecordError(LayerhouseError):
    """A commit record of a newer Layerhouse: sound, and not to be understood."""


class RecordError(LayerhouseError):
    """A commit record that cannot be trusted; `why` says so in a few words."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"the commit record {path} is damaged ({why}); restore it from a copy of the lake, "
            "or run `layerhouse status --repair` to take out what it committed"
        )
        self.why = why


def _damaged(path: Path, why: object) -> RecordError:
    return RecordError(path, why.strerror or str(why) if isinstance(why, OSError) else str(why))
