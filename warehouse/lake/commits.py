"""Commit records: the only thing that makes a shard exist for readers."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.lake.facts import COMPACT, REMOVE, SAMPLES, RunFacts, TakenOut
from warehouse.lake.folding import out_of_runs, unfolded
from warehouse.lake.lake import Lake
from warehouse.lake.records import (
    LAST_MOMENT,
    MOST_PARTS,
    NewerError,
    known_migrations,
    parsed,
    sealed,
)
from warehouse.storage import Shard
from warehouse.untrusted import UnfitError, read_bounded
from warehouse.vocabulary import VECTOR_TABLES


@dataclass(frozen=True)
class Commit:
    """The shards that became visible together.

    `run` is the run's row as it stood at this commit (config and versions as objects), so that
    nobody has to open a shard to learn what a run was. `covers` is the agent's own note on what
    the commit completed, `notes` what else it has to tell: its `seconds` per kind of work and
    `n_images` are added up in the run's row. `schema` names the newest migration the writer
    knew. `hash` is that of the record's file, filled in on reading.

    A compaction says in `joins` whose place it takes. What it says of each of these is a commit
    again (`work`), `joined_by` it, whose shards are the parts of the compaction's that hold its
    rows.
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
    joins: dict[str, Any] | None = None
    joined_by: str | None = None
    joined_bytes: int | None = None

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

    @cached_property
    def work(self) -> list["Commit"]:
        """The commits that it stands for: those whose place a compaction takes, else itself."""
        if self.joins is None:
            return [self]
        joins, run = self.joins, self.joins["run"]
        last, shards = joins["n"][-1], self._parts()
        columns = (joins["committed_at"], joins["hash"], unfolded(joins["covers"], len(joins["n"])))
        return [
            Commit(
                **{name: run[name] for name in ("run_id", "command", "model_id", "dataset_id")},
                n=n,
                committed_at=committed_at,
                covers=covers,
                shards=shards.get(n, []),
                run=run,
                schema=self.schema,
                notes=self.notes if n == last else {},
                hash=hash_,
                joined_by=self.commit_id,
                joined_bytes=joins["bytes"] if n == last else 0,
            )
            for n, committed_at, hash_, covers in zip(joins["n"], *columns, strict=True)
        ]

    def _parts(self) -> dict[int, list[Shard]]:
        """By number of a joined commit, the parts of shards that hold its rows."""
        found: dict[int, list[Shard]] = defaultdict(list)
        for shard in self.shards:
            for n, rows in self.parts_of(shard):
                found[n].append(Shard(shard.table, shard.path, rows, 0, shard.checksum))
        return found

    def parts_of(self, shard: Shard) -> Iterator[tuple[int, int]]:
        """(number of the commit, rows) of those whose rows a shard holds, in their order."""
        if self.joins is None:
            return iter([(self.n, shard.rows)])
        return out_of_runs(self.joins["parts"][shard.path], MOST_PARTS)

    @property
    def n_bytes(self) -> int:
        """Those of the shards that were written for it; of joined ones the last has all."""
        if self.joined_bytes is not None:
            return self.joined_bytes
        return sum(shard.bytes for shard in self.shards)

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Those of the commits that it stands for."""
        if self.joins is None:
            return frozenset({self.n})
        return frozenset(self.joins["n"])

    @property
    def of(self) -> str:
        """The run whose commits it stands for."""
        return self.run_id if self.joins is None else str(self.joins["run"]["run_id"])

    @property
    def record(self) -> str:
        """The id of the commit by whose record it is known."""
        return self.joined_by or self.commit_id

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
    def removes_samples(self) -> dict[str, int]:
        """By mark the places of the samples that it took out of the dataset that it names."""
        if self.command != REMOVE:
            return {}
        return {one["mark"]: one["place"] for one in self.run["config"].get(SAMPLES, ())}

    @property
    def is_finish(self) -> bool:
        return self.run.get("status") == "finished"

    def to_json(self) -> str:
        """Its record. Raises LayerhouseError for what no reader would take."""
        record = asdict(self)
        read = ("hash", "joined_by", "joined_bytes")
        for name in read if self.joins is not None else (*read, "joins"):
            del record[name]
        try:
            return sealed(record)
        except UnfitError as error:
            raise LayerhouseError(
                f"the run {self.run_id} cannot be recorded: {error}; give what is called so "
                "another name or value"
            ) from error


def is_removal(name: str) -> bool:
    """Whether a commit of that id takes out others."""
    return name.startswith(f"{REMOVE}-")


def is_compaction(name: str) -> bool:
    """Whether a commit of that id takes the place of others."""
    return name.startswith(f"{COMPACT}-")


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
        raise _damaged(path, f"it is a copy of that of {commit.commit_id}, to be taken away")
    return commit


TIME = re.compile(rb'(?<!\\)"committed_at": ?"([^"\\]{19,40})"')
SCHEMA = re.compile(rb'(?<!\\)"schema": ?"([^"\\]*)"')


def moment_of(lake: Lake, commit_id: str) -> datetime:
    """When a commit was made: of its text only the time is looked at, as a writer asks this of all
    commits, and damage may at worst make it a later one. Raises LayerhouseError where it leaves no
    time for another, NewerRecordError for a newer Layerhouse's, RecordError for no record."""
    path = lake.commits_dir / f"{commit_id}.json"
    try:
        about = os.lstat(path)
    except OSError as error:
        raise _damaged(path, error) from error
    moment = _moment(lake, commit_id, (about.st_ino, about.st_mtime_ns, about.st_size))
    if moment >= LAST_MOMENT:
        raise LayerhouseError(
            f"the commit record {path} says that it was made on "
            f"{moment:%Y-%m-%d}, after which nothing can come; run `layerhouse status --repair` "
            "to set aside what says so"
        )
    return moment


@lru_cache(maxsize=2**18)
def _moment(lake: Lake, commit_id: str, _state: tuple[int, int, int]) -> datetime:
    path = lake.commits_dir / f"{commit_id}.json"
    try:
        text = read_bounded(path)
        times = [datetime.fromisoformat(found.decode()) for found in TIME.findall(text)]
        moment = max(times)
    except (OSError, UnfitError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    known = {name.encode() for name in (*known_migrations(), "")}
    if moment.tzinfo is not None or not known.issuperset(SCHEMA.findall(text)):
        moment = read_commit(lake, commit_id).order[0]
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


def gist(covers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of what a commit covers the words and numbers, by which most can be told apart at once."""
    return tuple(
        (name, covers[name]) for name in sorted(covers) if isinstance(covers[name], int | str)
    )


def bookkeeping(commits: Iterable[Commit]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the catalogue's own tables on commits and shards, which are in no shard."""
    found: dict[str, list[tuple[Any, ...]]] = {"commit_record": [], "compaction": [], "shard": []}
    for record in commits:
        for c in record.work:
            about = (c.commit_id, c.run_id, c.n, c.command, c.model_id, c.dataset_id, c.order[0])
            found["commit_record"].append((*about, c.hash, c.joined_by))
        if record.joins is not None:
            n, at = len(record.numbers), record.order[0]
            found["compaction"].append((record.commit_id, record.of, n, at, record.hash))
        found["shard"] += [
            (s.path, s.table, record.commit_id, s.rows, s.bytes, s.checksum) for s in record.shards
        ]
    return found


def parts(commits: Iterable[Commit]) -> Iterator[tuple[str, int, int, datetime, str, int]]:
    """Whose the rows of shards are, but of vectors, which nobody replaces: (path, numbers of the
    first row and of the one after the last, and time, run and number of their commit, by which the
    newest of a key is told)."""
    for record in commits:
        work = {one.n: one for one in record.work}
        for shard in record.shards:
            first = 0
            for n, rows in record.parts_of(shard) if shard.table not in VECTOR_TABLES else ():
                yield shard.path, first, first + rows, work[n].order[0], work[n].run_id, n
                first += rows


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
