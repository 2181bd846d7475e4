"""Runs: how agents add rows to a lake, crash-safe and repeatable."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit, is_compaction, is_removal, read_commit
from warehouse.lake.drafting import LaterTimes, draft
from warehouse.lake.facts import REMOVE, RunFacts
from warehouse.lake.ground import REGISTRATION, refuse_regrouped, refuse_removed
from warehouse.lake.history import Following, History
from warehouse.lake.lake import Lake
from warehouse.lake.standing import settled, told_by
from warehouse.schema import newest_migration
from warehouse.storage import Draft, Turn

if TYPE_CHECKING:
    from warehouse.lake.shards import Piece, Rows

RECORDED_VERSIONS = ("layerhouse", "duckdb", "pyarrow", "torch", "transformers", "scikit-learn")

Clashes = Callable[[Commit], bool]
"""Whether a commit of another writer holds some of the same work."""


@dataclass(frozen=True)
class RunSpec:
    """What a command is about to do; equal specs are the same run.

    `config` holds everything that decides the result, as JSON values; `device` does not.
    """

    command: str
    model_id: str | None = None
    dataset_id: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    device: str | None = None

    @property
    def run_id(self) -> str:
        meaning = [self.command, self.model_id, self.dataset_id, self.config]
        canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{self.command}-{blake2b(canonical.encode(), digest_size=6).hexdigest()}"

    @property
    def facts(self) -> RunFacts:
        base = self.config.get("base")
        return RunFacts(self.run_id, self.command, self.model_id, self.dataset_id, base)


class OvertakenError(LayerhouseError):
    """Another machine did some of the same work; nothing of it was added twice."""


@dataclass(frozen=True)
class _Note:
    """What a commit says beside its rows: the work it completes, what it took, how the run stands.

    `covers` and `notes` are as `RunWriter.commit` takes them.
    """

    covers: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    finished: bool = False

    @property
    def changes_status(self) -> bool:
        return self.finished or "reopens" in self.covers


class RunWriter:
    """Adds one run's shards to a lake, commit by commit; a context manager.

    Leaving it early keeps what was committed and marks nothing finished, so that the next writer of
    the same spec goes on from there. Writers of one run may work at the same time.

    `looked` are the commits that the lake had when it was decided what to do, by default those it
    has now. At every commit it is checked against them that nobody took out since what the run
    rests on, and, in a bucket, where no lock holds between machines, that nobody else did the same
    work.
    """

    def __init__(self, lake: Lake, spec: RunSpec, looked: frozenset[str] | None = None) -> None:
        self.lake = lake.create()
        self.spec = spec
        self.run_id = spec.run_id
        self._store = lake.store
        self._known = set(self._store.commit_names() if looked is None else looked)
        self._moments = LaterTimes(lake)
        self._following = Following(lake, self.run_id)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to release: every commit is complete in itself."""

    @property
    def history(self) -> History:
        return History.of(self.lake, self.run_id)

    @property
    def committed(self) -> list[Commit]:
        """The commits of this run so far, whoever wrote them, oldest first."""
        return self.history.commits

    @property
    def is_finished(self) -> bool:
        return self.history.closing is not None

    @property
    def is_done(self) -> bool:
        """Whether a run that adds its rows at once did: it was finished, or stopped just before.

        Not so where a repair took the rows out: the run then has other commits, and is unfinished.
        """
        history = self.history
        return history.closing is not None or history.holds_rows

    def commit(
        self,
        tables: Mapping[str, Rows],
        covers: dict[str, Any] | None = None,
        notes: dict[str, Any] | None = None,
        clashes: Clashes | None = None,
        *,
        finished: bool = False,
        in_turn: Callable[[], None] | None = None,
    ) -> Commit:
        """Make these rows visible together.

        `tables` maps table names to Arrow tables or to lists of dicts with every column of the
        table but run_id, which is filled in. `covers` says what the commit completes, as JSON
        values; if the run has a commit that covers the same already, that one is returned and
        nothing is written, so that two writers racing for one piece of work cannot double it.
        `notes` are kept beside it and compared with nothing; what the piece took, {"seconds":
        {work: seconds}, "n_images": count}, is added up in the run's row. `finished` marks the run
        so in the same commit. `in_turn` is called between the two steps of it, when all shards lie
        ready and nothing is visible: it may wait there for other commits, or raise to have none.

        `clashes` says of a commit of another writer, of the same command, model and dataset,
        whether it holds some of the same work; by default each does that came since this one
        looked. Only a lake in a bucket needs it: elsewhere agents hold locks. One that takes others
        out holds none, and is asked about every commit in any lake.

        Raises LayerhouseError, with nothing visible and no file left, when rows do not fit their
        table, when the disk refuses them, when the run is finished, or when what it rests on was
        taken out, and OvertakenError, in the same way, where another machine's commit clashes.
        """
        plain = json.loads(json.dumps(covers or {}))
        return self._commit(tables, _Note(plain, notes or {}, finished), clashes, in_turn)

    def finish(self, notes: dict[str, Any] | None = None) -> None:
        """Mark the run finished; once it is, this does nothing."""
        if not self.is_finished:
            self._commit({}, _Note(notes=notes or {}, finished=True))

    def reopen(self) -> None:
        """Take back that the run is finished, for one that lost commits since."""
        before = self.history
        if before.commits and (before.closing is not None or not before.is_told):
            self._commit({}, _Note({"reopens": before.commits[-1].n}))

    def _commit(
        self,
        tables: Mapping[str, Rows],
        note: _Note,
        clashes: Clashes | None = None,
        in_turn: Callable[[], None] | None = None,
    ) -> Commit:
        names = {"model_id": self.spec.model_id, "dataset_id": self.spec.dataset_id}
        parts = _pieces(tables, self.run_id, names)
        self._moments.warm(self._known)
        try:
            with ExitStack() as written:
                drafts = [draft(self.lake, self.run_id, piece, written) for piece in parts]
                try:
                    (in_turn or _at_once)()
                except BaseException:
                    self._store.withdraw(drafts)
                    raise
                with self.lake.committing():
                    commit = None
                    while commit is None:
                        turn = self._store.turn()
                        before = self._following.at(turn.names)
                        done = before.already(note.covers, finished=note.finished)
                        if done:
                            self._store.withdraw(drafts)
                            return done
                        try:
                            self._refuse_stale(turn.names, clashes if tables else _never)
                        except LayerhouseError:
                            self._store.withdraw(drafts)
                            raise
                        commit = self._enter(turn, before, note, drafts)
                    return commit
        except OSError as error:
            raise LayerhouseError(
                f"cannot write to the lake {self.lake}: {error.strerror or error}; "
                "what was committed before is safe, and the same command goes on from there"
            ) from error

    def require_ground(self) -> None:
        """Raise LayerhouseError where what the run rests on was taken out since it was planned."""
        settled(self.lake, lambda names: self._refuse_stale(names, _never))

    def _refuse_stale(self, names: Iterable[str], clashes: Clashes | None) -> None:
        """Raise where a commit came since this one looked that its own must not follow."""
        mine = self.spec.facts
        for name in set(names) - self._known:
            if is_removal(name):
                refuse_removed(self.spec.facts, self.run_id, read_commit(self.lake, name))
            elif name.startswith(REGISTRATION):
                refuse_regrouped(self.spec.facts, read_commit(self.lake, name))
            for other in self._others(name):
                if mine.command != REMOVE and not (_is_alike(other, self.spec) and other.shards):
                    continue
                if clashes is None or clashes(other):
                    raise OvertakenError(
                        f"another machine did some of the same work meanwhile ({name}); nothing "
                        f"was doubled, run layerhouse {mine.command} again for what is left"
                    )

    def _others(self, name: str) -> list[Commit]:
        """The commits that a new record tells of which may be some of the same work, as no lock
        kept others from it. A compaction may tell of some whose own records are gone by now."""
        mine = self.spec.command
        if is_removal(name) or (mine != REMOVE and self._store.locks_reach_everyone):
            return []
        if is_compaction(name):
            known = {one.commit_id for one in told_by(self.lake, self._known)} | self._known
            return [one for one in told_by(self.lake, [name]) if one.commit_id not in known]
        if mine == REMOVE or name.startswith(mine):
            return [read_commit(self.lake, name)]
        return []

    def _enter(
        self, turn: Turn, before: History, note: _Note, drafts: list[Draft]
    ) -> Commit | None:
        """Add the commit; runs under the lake's commit lock. None where another took the turn."""
        now = self._moments.next(turn.names)
        row = self._run_row(before, note, now)
        row["n_bytes"] = before.n_bytes + sum(draft.bytes for draft in drafts)
        with ExitStack() as written:
            told: list[Draft] = []
            if note.changes_status or not before.is_told:
                told = [
                    draft(self.lake, self.run_id, piece, written)
                    for piece in _pieces({"run": [row]}, self.run_id, {})
                ]
            commit_id, entering = f"{self.run_id}-{before.next}", [*drafts, *told]
            commit = Commit(
                run_id=self.run_id,
                n=before.next,
                command=self.spec.command,
                model_id=self.spec.model_id,
                dataset_id=self.spec.dataset_id,
                committed_at=_plain(now),
                covers=note.covers,
                shards=[draft.shard(self._store.path(draft, commit_id)) for draft in entering],
                run={key: _plain(value) for key, value in row.items()},
                schema=newest_migration(),
                notes=note.notes,
            )
            if not self._store.enter(turn, commit_id, commit.to_json(), entering):
                self._store.withdraw(told)
                return None
        self._known.add(commit_id)
        return commit

    def _run_row(self, before: History, note: _Note, now: datetime) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "command": self.spec.command,
            "model_id": self.spec.model_id,
            "dataset_id": self.spec.dataset_id,
            "started_at": before.started_at or now,
            "finished_at": now if note.finished else None,
            "status": "finished" if note.finished else "running",
            "device": self.spec.device,
            "config": self.spec.config,
            "versions": _versions(),
            **before.took(note.notes),
        }


def _pieces(
    tables: Mapping[str, Rows], run_id: str, names: Mapping[str, str | None]
) -> list[Piece]:
    """The shards of these rows, all of which fit their tables."""
    from warehouse.lake.shards import checked_table, pieces  # pyarrow, which readers do without

    checked = {name: checked_table(name, rows, run_id) for name, rows in tables.items()}
    return [piece for name, rows in checked.items() for piece in pieces(name, rows, names)]


def _is_alike(commit: Commit, spec: RunSpec) -> bool:
    return (commit.command, commit.model_id, commit.dataset_id) == (
        spec.command,
        spec.model_id,
        spec.dataset_id,
    )


def _never(_: Commit) -> bool:
    return False


def _at_once() -> None:
    pass


def _plain(value: Any) -> Any:
    """A run row's value as JSON holds it."""
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


@cache
def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
