"""Take what is damaged out of a lake, so that the next run does it again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import list_commits
from warehouse.lake.history import find_runs
from warehouse.lake.inspection import Leftover, damaged_shards, leftovers, readable_commits
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.schema import tables
from warehouse.storage import QUARANTINE

DEAD_AFTER = timedelta(days=1)
"""No live writer leaves a file it began so long without a commit."""


@dataclass(frozen=True)
class Repaired:
    """One commit that was taken out: why, where its files lie now, and what it had covered."""

    commit_id: str
    reason: str
    folder: str
    files: tuple[str, ...]


def repair(lake: Lake) -> list[Repaired]:
    """Move every commit with a damaged record or shard to `quarantine/`, with all its shards.

    Each shard is read and its checksum compared. A commit goes as a whole, record first, so that no
    reader sees a part of it. What is left of its run is marked unfinished, so that the command that
    made it does again exactly what is missing. Nothing is deleted. Raises LayerhouseError where a
    file cannot be moved.
    """
    lake.require()
    lake.store.look_again()
    try:
        with lake.committing():
            taken = _repair(lake)
        names = {each.commit_id.rpartition("-")[0] for each in taken}
        # In a bucket the name of a record that cannot be read does not tell its run.
        _reopen(lake, names | _with_gaps(lake) if "" in names else names)
    except OSError as error:
        raise LayerhouseError(
            f"cannot repair the lake {lake}: {error.strerror or error}; "
            "run `layerhouse status --repair` again once its files may be moved"
        ) from error
    return taken


def sweep(lake: Lake) -> list[Leftover]:
    """Delete what killed writers left in a lake's folder; returns what was deleted.

    That is every *.tmp of a table or of a commit record, and every shard that no commit names,
    untouched for a day. It happens under the commit lock, where no writer is between naming its
    shards and committing them; one that drafts a shard commits it next. Should one have been frozen
    for that day, its commit fails and nothing of it is seen. Where a commit record cannot be read,
    shards are spared; so are other files, and all of a bucket. Raises LayerhouseError where a file
    cannot be deleted.
    """
    lake.require()
    swept = []
    try:
        with lake.committing():
            commits, unreadable = readable_commits(lake)
            named = {shard.path for commit in commits for shard in commit.shards}
            for found in leftovers(lake, None if unreadable else named):
                if _is_ours(found) and lake.store.delete_dead(found.path, DEAD_AFTER):
                    swept.append(found)
    except OSError as error:
        raise LayerhouseError(
            f"cannot delete what killed writers left in {lake}: {error.strerror or error}; "
            "run `layerhouse status --repair` again once its files may be deleted"
        ) from error
    return swept


def _is_ours(found: Leftover) -> bool:
    """Whether a writer of rows gave the file its name; a builder clears away its own."""
    path = PurePosixPath(found.path)
    return path.parts[0] in {"commits", *tables()} and (
        found.kind == "temporary" or path.name.startswith("part-")
    )


def _with_gaps(lake: Lake) -> set[str]:
    """The runs that lack one of their commits: each counts its own from 0."""
    commits = list_commits(lake)
    counts = Counter(commit.run_id for commit in commits)
    return {commit.run_id for commit in commits if commit.n >= counts[commit.run_id]}


def _reopen(lake: Lake, run_ids: set[str]) -> None:
    """Mark the runs unfinished, as far as anything of them is left."""
    for row in find_runs(lake):
        spec = RunSpec(row["command"], row["model_id"], row["dataset_id"], row["config"])
        if row["run_id"] in run_ids and spec.run_id == row["run_id"]:
            RunWriter(lake, spec).reopen()


def _repair(lake: Lake) -> list[Repaired]:
    commits, unreadable = readable_commits(lake)
    shards = [shard for commit in commits for shard in commit.shards]
    problems = {each.path: each.problem for each in damaged_shards(lake, shards, verify=True)}
    reasons: dict[str, str] = {}
    for commit in commits:
        found = [f"{s.path} {problems[s.path]}" for s in commit.shards if s.path in problems]
        if found:
            reasons[commit.commit_id] = "; ".join(found)
    records = {Path(each.path).stem: f"{each.path} {each.problem}" for each in unreadable}
    known = {commit.commit_id: commit.shards for commit in commits}
    folder = f"{QUARANTINE}/{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    return [
        Repaired(name, reason, folder, lake.store.set_aside(name, known.get(name), folder))
        for name, reason in sorted({**records, **reasons}.items())
    ]
