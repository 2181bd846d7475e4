"""Runs: how agents add rows to a lake, crash-safe and repeatable."""

import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError
from warehouse.files import (
    TEMPORARY,
    checksum,
    file_lock,
    make_folder,
    put_in_place,
    write_durably,
    write_text,
    write_whole,
)
from warehouse.lake.commits import Commit, Shard, commit_names, list_commits, read_commit
from warehouse.lake.lake import Lake
from warehouse.lake.shards import Piece, Rows, checked_table, pieces, write_parquet
from warehouse.schema import newest_migration

if TYPE_CHECKING:
    from warehouse.storage.mirror import Position

RECORDED_VERSIONS = ("layerhouse", "duckdb", "pyarrow", "torch", "transformers", "scikit-learn")


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


class RunWriter:
    """Adds one run's shards to a lake, commit by commit; a context manager.

    Leaving it early keeps what was committed and marks nothing finished, so that the next writer of
    the same spec goes on from there. Writers of one run may work at the same time.

    `looked` are the commits that the lake had when it was decided what to do, by default those it
    has now. In a bucket, where no lock holds between machines, it is checked against them at every
    commit that nobody else did the same work since.
    """

    def __init__(self, lake: Lake, spec: RunSpec, looked: "frozenset[str] | None" = None) -> None:
        self.lake = lake.create()
        self.spec = spec
        self.run_id = spec.run_id
        self._known = set(commits_in_bucket(lake) if looked is None else looked)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to release: every commit is complete in itself."""

    @property
    def committed(self) -> list[Commit]:
        """The commits of this run so far, whoever wrote them, oldest first."""
        names = commit_names(self.lake, self.run_id)
        return sorted((read_commit(self.lake, name) for name in names), key=lambda commit: commit.n)

    @property
    def is_finished(self) -> bool:
        return _closing(self.committed) is not None

    def commit(
        self,
        tables: Mapping[str, Rows],
        covers: dict[str, Any] | None = None,
        notes: dict[str, Any] | None = None,
        clashes: Callable[[Commit], bool] | None = None,
    ) -> Commit:
        """Make these rows visible together.

        `tables` maps table names to Arrow tables or to lists of dicts with every column of the
        table but run_id, which is filled in. `covers` says what the commit completes, as JSON
        values; if the run has a commit that covers the same already, that one is returned and
        nothing is written, so that two writers racing for one piece of work cannot double it.
        `notes` are kept beside it and compared with nothing; what the piece took, {"seconds":
        {work: seconds}, "n_images": count}, is added up in the run's row.

        `clashes` says of a commit of another writer, of the same command, model and dataset,
        whether it holds some of the same work; by default each does that came since this one
        looked. Only a lake in a bucket needs it: elsewhere agents hold locks.

        Raises LayerhouseError, with nothing visible and no file left, when rows do not fit their
        table, when the disk refuses them, or when the run is finished, and OvertakenError, in the
        same way, where another machine's commit clashes.
        """
        plain = json.loads(json.dumps(covers or {}))
        return self._commit(tables, plain, notes=notes or {}, clashes=clashes)

    def finish(self, notes: dict[str, Any] | None = None) -> None:
        """Mark the run finished; once it is, this does nothing."""
        if not self.is_finished:
            self._commit({}, {}, notes=notes, finished=True)

    def reopen(self) -> None:
        """Take back that the run is finished, for one that lost commits since."""
        before = self.committed
        if before and (_closing(before) is not None or not _told(before)):
            self._commit({}, {"reopens": before[-1].n})

    def _commit(
        self,
        tables: Mapping[str, Rows],
        covers: dict[str, Any],
        *,
        notes: dict[str, Any] | None = None,
        finished: bool = False,
        clashes: Callable[[Commit], bool] | None = None,
    ) -> Commit:
        checked = {name: checked_table(name, rows, self.run_id) for name, rows in tables.items()}
        names = {"model_id": self.spec.model_id, "dataset_id": self.spec.dataset_id}
        parts = [piece for name, rows in checked.items() for piece in pieces(name, rows, names)]
        files: list[Path] = []
        try:
            drafts = [self._draft(piece, files) for piece in parts]
            with file_lock(self.lake.commits_dir / "lock"):
                commit = None
                while commit is None:
                    position = self.lake.follow()
                    before = self.committed
                    done = _already_done(before, covers, finished=finished)
                    if done:
                        self._withdraw(drafts)
                        return done
                    if tables:
                        self._refuse_overtaken(drafts, clashes)
                    commit = self._publish(
                        drafts, covers, notes or {}, before, files, finished, position
                    )
                return commit
        except OSError as error:
            raise LayerhouseError(
                f"cannot write to the lake {self.lake}: {error.strerror or error}; "
                "what was committed before is safe, and the same command goes on from there"
            ) from error
        finally:
            for path in files:
                path.unlink(missing_ok=True)

    def _draft(self, piece: Piece, files: list[Path]) -> "_Draft":
        """Write a shard under a name no reader looks for; note it in `files` for removal.

        In a bucket that is its name for good: one that nobody else can take.
        """
        folder = self.lake.root / piece.folder
        make_folder(folder)
        mark = uuid.uuid4().hex
        path = folder / f"{self.run_id}-{mark}{TEMPORARY}"
        files.append(path)
        write_durably(path, lambda temporary: write_parquet(temporary, piece))
        key = f"{piece.folder}/part-{self.run_id}-{mark}.parquet"
        draft = _Draft(piece, path, path.stat().st_size, checksum(path), key)
        if self.lake.remote is not None:
            self.lake.remote.upload(path, key)
        return draft

    def _withdraw(self, drafts: list["_Draft"]) -> None:
        """Take shards out of the bucket that no commit names."""
        if self.lake.remote is not None:
            self.lake.remote.delete([draft.key for draft in drafts])

    def _refuse_overtaken(
        self, drafts: list["_Draft"], clashes: Callable[[Commit], bool] | None
    ) -> None:
        """Raise OvertakenError where another did some of the same work since this one looked."""
        for name in commits_in_bucket(self.lake, self.spec.command) - self._known:
            other = read_commit(self.lake, name)
            if _subject(other) != _subject(self.spec) or not other.shards:
                continue
            if clashes is None or clashes(other):
                self._withdraw(drafts)
                raise OvertakenError(
                    f"another machine did some of the same work meanwhile ({name}); nothing was "
                    f"doubled, run layerhouse {self.spec.command} again for what is left"
                )

    def _publish(
        self,
        drafts: list["_Draft"],
        covers: dict[str, Any],
        notes: dict[str, Any],
        before: list[Commit],
        files: list[Path],
        finished: bool,
        position: "Position | None",
    ) -> Commit | None:
        """Give shards and commit record their names; runs under the lake's commit lock.

        None where another machine took the place in the bucket that was next.
        """
        n = before[-1].n + 1 if before else 0
        run = self._run_row(before, notes, finished=finished)
        run["n_bytes"] += sum(draft.size for draft in drafts)
        if finished or "reopens" in covers or not _told(before):
            rows = checked_table("run", [run], self.run_id)
            drafts = [*drafts, *(self._draft(piece, files) for piece in pieces("run", rows, {}))]
        shards = [self._place(draft, n, files) for draft in drafts]
        commit = Commit(
            run_id=self.run_id,
            n=n,
            command=self.spec.command,
            model_id=self.spec.model_id,
            dataset_id=self.spec.dataset_id,
            committed_at=_later_than(position),
            covers=covers,
            shards=shards,
            run={key: _plain(value) for key, value in run.items()},
            schema=newest_migration(),
            notes=notes,
        )
        text = commit.to_json()
        if position is not None:
            if not self._enter(position, text.encode()):
                return None
            self._known.add(commit.commit_id)
            return commit
        path = self.lake.commits_dir / f"{commit.commit_id}.json"
        write_whole(path, lambda temporary: write_text(temporary, text))
        files.clear()
        return commit

    def _enter(self, position: "Position", text: bytes) -> bool:
        """Put a record at a place in the bucket, unless another writer was there first."""
        remote = self.lake.remote
        assert remote is not None
        # Where the reply was lost and the request sent again, the other writer is this one.
        return remote.create(position.key, text) or remote.read(position.key) == text

    def _place(self, draft: "_Draft", n: int, files: list[Path]) -> Shard:
        piece, path = draft.piece, draft.key
        if self.lake.remote is None:
            path = f"{piece.folder}/part-{self.run_id}-{n}.parquet"
            files.append(self.lake.root / path)
            put_in_place(draft.path, self.lake.root / path)
        return Shard(piece.table, path, piece.rows.num_rows, draft.size, draft.checksum)

    def _run_row(
        self, before: list[Commit], notes: dict[str, Any], *, finished: bool
    ) -> dict[str, Any]:
        now = _now()
        started = datetime.fromisoformat(before[0].run["started_at"]) if before else now
        return {
            "run_id": self.run_id,
            "command": self.spec.command,
            "model_id": self.spec.model_id,
            "dataset_id": self.spec.dataset_id,
            "started_at": started,
            "finished_at": now if finished else None,
            "status": "finished" if finished else "running",
            "device": self.spec.device,
            "config": self.spec.config,
            "versions": _versions(),
            **_total([*(commit.notes for commit in before), notes]),
            "n_bytes": sum(shard.bytes for commit in before for shard in commit.shards),
        }


def _total(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What a run took so far; None where its command does not count it."""
    seconds: dict[str, float] = {}
    for part in parts:
        for work, taken in part.get("seconds", {}).items():
            seconds[work] = round(seconds.get(work, 0.0) + taken, 3)
    images = [part["n_images"] for part in parts if "n_images" in part]
    return {"seconds": seconds or None, "n_images": sum(images) if images else None}


@dataclass(frozen=True)
class _Draft:
    """A shard on the disk that has no name yet; `key` is the name it has in a bucket."""

    piece: Piece
    path: Path
    size: int
    checksum: str
    key: str


class OvertakenError(LayerhouseError):
    """Another machine did some of the same work; nothing of it was added twice."""


def _subject(of: "Commit | RunSpec") -> tuple[str, str | None, str | None]:
    return of.command, of.model_id, of.dataset_id


def commits_in_bucket(lake: Lake, command: str = "") -> frozenset[str]:
    """The ids of a bucket's commits; none for a lake in a folder, where locks do their part."""
    if lake.remote is None:
        return frozenset()
    return frozenset(name for name in commit_names(lake) if name.startswith(command))


def _already_done(before: list[Commit], covers: dict[str, Any], *, finished: bool) -> Commit | None:
    """The commit that did the same work before, if any; refuses to add to a finished run."""
    same = [commit for commit in before if covers and commit.covers == covers]
    finish = _closing(before)
    if finish and not finished and not same and "reopens" not in covers:
        raise LayerhouseError(
            f"the run {finish.run_id} was finished by another process; run the command again "
            "to see what is left to do"
        )
    return finish if finished else next(iter(same), None)


def _told(commits: list[Commit]) -> bool:
    """Whether a shard holds the run's own row."""
    return any(shard.table == "run" for commit in commits for shard in commit.shards)


def _closing(commits: list[Commit]) -> Commit | None:
    """The commit that finished the run, unless it was reopened later."""
    return commits[-1] if commits and commits[-1].is_finish else None


def find_runs(
    lake: Lake,
    command: str | None = None,
    model_id: str | None = None,
    dataset_id: str | None = None,
) -> list[dict[str, Any]]:
    """The newest `run` row of each matching run, oldest run first; config as an object.

    Read from the commit records alone, so no catalogue is needed.
    """
    rows: dict[str, dict[str, Any]] = {}
    for commit in list_commits(lake, command=command, model_id=model_id, dataset_id=dataset_id):
        rows[commit.run_id] = commit.run
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


def _later_than(position: "Position | None") -> str:
    """The time of a commit, after all that are in the bucket, whatever other machines' clocks say:

    of rows with one key the newest counts.
    """
    now = _now()
    if position is not None and position.latest:
        last = datetime.fromisoformat(position.latest)
        now = max(now, last + timedelta(microseconds=1))
    return now.isoformat(timespec="microseconds")


def _now() -> datetime:
    """UTC without a zone, as the catalogue's TIMESTAMP columns hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


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
