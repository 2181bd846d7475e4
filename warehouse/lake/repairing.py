"""Take what is damaged out of a lake, so that the next run does it again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import (
    Commit,
    is_compaction,
    is_removal,
    number_of,
    run_of,
)
from warehouse.lake.facts import REMOVE
from warehouse.lake.history import History, find_runs
from warehouse.lake.inspection import Leftover, Stock, damaged_shards, leftovers, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.overlapping import done_twice
from warehouse.lake.records import LAST_MOMENT, LAST_YEAR
from warehouse.lake.removing import renew
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import told_by
from warehouse.lake.unpacking import read_shard
from warehouse.schema import tables
from warehouse.storage import QUARANTINE

DEAD_AFTER = timedelta(days=1)
"""No live writer leaves a file it began so long without a commit."""

UNNAMED = (
    "No commit names these shards: their writer was killed, or their records were lost or are not "
    "yet copied. Put the records back and run `layerhouse status --repair`, and they are back too."
)


@dataclass(frozen=True)
class Repaired:
    """One commit that was taken out: why, where its files lie now, and what it had covered."""

    commit_id: str
    reason: str
    folder: str
    files: tuple[str, ...]


def restore(lake: Lake) -> list[str]:
    """Bring back from quarantine what commits lack: their record was lost once, and put back.

    Returns the shards' paths. Raises LayerhouseError where a file cannot be moved.
    """
    lake.require()
    with _writing(lake), lake.committing():
        return _restore(lake, take_stock(lake))


def _restore(lake: Lake, stock: Stock) -> list[str]:
    lacking = {each.path for each in damaged_shards(lake, stock.shards, verify=False)}
    return [
        shard.path for shard in stock.shards if shard.path in lacking and lake.store.recall(shard)
    ]


@contextmanager
def _writing(lake: Lake) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LayerhouseError(
            f"cannot repair the lake {lake}: {error.strerror or error}; "
            "run `layerhouse status --repair` again once its files may be moved"
        ) from error


def repair(lake: Lake) -> list[Repaired]:
    """Move every commit with a damaged record or shard to `quarantine/`, with all its shards.

    Each shard is read and its checksum compared. A commit goes as a whole, record first, so that no
    reader sees a part of it. What is left of its run is marked unfinished, so that the command that
    made it does again exactly what is missing; a removal is written again at once. So is a run
    marked one of whose records is gone. Nothing is deleted. Raises LayerhouseError where a file
    cannot be moved.
    """
    lake.require()
    lake.store.look_again()
    with _writing(lake):
        with lake.committing():
            stock = take_stock(lake)
            for newer in stock.newer:  # whose commits this Layerhouse could not do again
                raise newer
            _restore(lake, stock)
            taken = more = _repair(lake, stock)
            while any(is_compaction(each.commit_id) for each in more):
                more = _repair(lake, take_stock(lake))  # what it had joined counts again
                taken = [*taken, *more]
        taken = [_renewed(lake, stock, each) for each in taken]
        of = {one.commit_id: one.of for one in stock.every}
        ids = [each.commit_id for each in taken if not _removes(each)]
        names = {of.get(name, run_of(name)) for name in ids}
        # In a bucket the name of a record that cannot be read does not tell its run.
        _reopen(lake, names | _with_gaps(lake))
    return taken


@dataclass(frozen=True)
class Swept:
    """What killed writers left: the files that were deleted, and those that `folder` holds now."""

    deleted: list[Leftover]
    set_aside: list[Leftover]
    folder: str


def sweep(lake: Lake) -> Swept:
    """Clear away what killed writers left in a lake's folder.

    Every *.tmp of a table or of a commit record, untouched for a day, is deleted: should its writer
    only have been frozen for that day, its commit fails and nothing of it is seen. A shard that no
    commit names may be data whose record was lost or is not yet copied: it goes to `quarantine/`,
    from where `restore` brings it back. That happens under the commit lock, where no writer is
    between naming its shards and committing them; in a bucket, where the lock holds on one machine,
    those go that were written a day ago. Where a commit record cannot be read, shards are spared;
    so are other files. Raises LayerhouseError where a file cannot be moved or deleted.
    """
    lake.require()
    folder = _folder()
    with _writing(lake), lake.committing():
        ours = [each for each in leftovers(lake, take_stock(lake)) if _is_ours(each)]
        passing = [each for each in ours if each.kind == "temporary"]
        deleted = [each for each in passing if lake.store.delete_dead(each.path, DEAD_AFTER)]
        unnamed = [each.path for each in ours if each.kind == "uncommitted"]
        moved = lake.store.put_aside(unnamed, folder, UNNAMED, DEAD_AFTER) if unnamed else ()
    return Swept(deleted, [each for each in ours if each.path in moved], folder)


def _folder() -> str:
    return f"{QUARANTINE}/{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _is_ours(found: Leftover) -> bool:
    """Whether a writer of rows gave the file its name and none of its commits needs it.

    A builder clears away its own; what was removed waits until it is freed.
    """
    path = PurePosixPath(found.path)
    dead = found.kind == "uncommitted" and path.name.startswith("part-")
    return path.parts[0] in {"commits", *tables()} and (dead or found.kind == "temporary")


def _with_gaps(lake: Lake) -> set[str]:
    """The runs that lack one of their commits, each counting its own from 0, and were not marked
    unfinished since."""
    numbers: dict[str, set[int]] = defaultdict(set)
    names = lake.store.commit_names()
    for name in names:
        numbers[run_of(name)].add(number_of(name))
    for one in told_by(lake, names):
        numbers[one.run_id].add(one.n)
    gaps = {run: set(range(max(held))) - held for run, held in numbers.items()}
    marked = {run: max(_reopened(lake, run), default=-1) for run, lost in gaps.items() if lost}
    return {run for run, last in marked.items() if max(gaps[run]) > last}


def _reopened(lake: Lake, run_id: str) -> list[int]:
    return [one.covers.get("reopens", -1) for one in History.of(lake, run_id).commits]


def _reopen(lake: Lake, run_ids: set[str]) -> None:
    """Mark the runs unfinished, as far as anything of them is left."""
    for row in find_runs(lake):
        spec = RunSpec(row["command"], row["model_id"], row["dataset_id"], row["config"])
        if row["run_id"] in run_ids and spec.run_id == row["run_id"]:
            RunWriter(lake, spec).reopen()


def _removes(taken: Repaired) -> bool:
    return is_removal(taken.commit_id)


def _renewed(lake: Lake, stock: Stock, taken: Repaired) -> Repaired:
    """What a removal took out stays out although its commit was set aside."""
    if not taken.commit_id.rpartition("-")[0]:  # a bucket's, by its number alone
        return replace(taken, reason=f"{taken.reason}; if it was a removal's, remove that again")
    if not _removes(taken):
        return taken
    config = _config_of(lake, stock, taken)
    spec = RunSpec(REMOVE, config=config)
    if spec.run_id == taken.commit_id.rpartition("-")[0]:
        renew(lake, stock, spec)
        return replace(taken, reason=f"{taken.reason}; the removal was written again")
    return replace(taken, reason=f"{taken.reason}; what it had removed is back: remove it again")


def _config_of(lake: Lake, stock: Stock, taken: Repaired) -> dict[str, Any]:
    """The removal's configuration by its record or by its run's row; empty where both are lost."""
    for commit in stock.commits:
        if commit.commit_id == taken.commit_id:
            return dict(commit.run["config"])
    for path in taken.files:
        with suppress(OSError, pa.ArrowException, ValueError):
            if path.startswith("run/"):
                rows = read_shard(lake, f"{taken.folder}/{path}").to_pylist()
                return dict(json.loads(rows[0]["config"]))
    return {}


def _repair(lake: Lake, stock: Stock) -> list[Repaired]:
    damaged = damaged_shards(lake, stock.shards, verify=True)
    problems = {each.path: each.problem for each in damaged}
    reasons: dict[str, str] = {}
    for commit in stock.commits:
        found = [f"{s.path} {problems[s.path]}" for s in commit.shards if s.path in problems]
        if found:
            reasons[commit.commit_id] = "; ".join(found)
    # A removal whose record cannot be read may have taken out what stands twice without it.
    for early, late in [] if stock.unreadable else done_twice(stock.commits):
        reasons.setdefault(early.record, f"its work was done again by {late.commit_id}")
    for commit in stock.standing.torn:
        reasons.setdefault(commit.commit_id, "it joined commits that a removal took out")
    for commit in _without_end(stock):
        reasons.setdefault(commit.commit_id, f"it says it was made in {LAST_YEAR}")
    records = {Path(each.path).stem: f"{each.path} {each.problem}" for each in stock.unreadable}
    known = {one.commit_id: one.shards for one in stock.every}
    folder = _folder()
    return [
        Repaired(name, reason, folder, lake.store.set_aside(name, known.get(name), folder))
        for name, reason in sorted({**records, **reasons}.items())
    ]


def _without_end(stock: Stock) -> list[Commit]:
    """Where a commit says a time after which none can come, those of that year."""
    commits = stock.every
    if all(one.order[0] < LAST_MOMENT for one in commits):
        return []
    return [one for one in commits if one.order[0].year >= LAST_YEAR]
