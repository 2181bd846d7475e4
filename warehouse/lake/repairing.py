"""Take what is damaged out of a lake, so that the next run does it again."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import is_removal, number_of
from warehouse.lake.facts import REMOVE
from warehouse.lake.history import find_runs
from warehouse.lake.inspection import Leftover, Stock, damaged_shards, leftovers, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.removing import renew
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
    made it does again exactly what is missing; a removal is written again at once. Nothing is
    deleted. Raises LayerhouseError where a
    file cannot be moved.
    """
    lake.require()
    lake.store.look_again()
    try:
        with lake.committing():
            stock = take_stock(lake)
            for newer in stock.newer:  # whose commits this Layerhouse could not do again
                raise newer
            taken = _repair(lake, stock)
        taken = [_renewed(lake, stock, each) for each in taken]
        names = {each.commit_id.rpartition("-")[0] for each in taken if not _removes(each)}
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
            for found in leftovers(lake, take_stock(lake)):
                if _is_ours(found) and lake.store.delete_dead(found.path, DEAD_AFTER):
                    swept.append(found)
    except OSError as error:
        raise LayerhouseError(
            f"cannot delete what killed writers left in {lake}: {error.strerror or error}; "
            "run `layerhouse status --repair` again once its files may be deleted"
        ) from error
    return swept


def _is_ours(found: Leftover) -> bool:
    """Whether a writer of rows gave the file its name and none of its commits needs it.

    A builder clears away its own; what was removed waits until it is freed.
    """
    path = PurePosixPath(found.path)
    dead = found.kind == "uncommitted" and path.name.startswith("part-")
    return path.parts[0] in {"commits", *tables()} and (dead or found.kind == "temporary")


def _with_gaps(lake: Lake) -> set[str]:
    """The runs that lack one of their commits: each counts its own from 0."""
    names = lake.store.commit_names()
    counts = Counter(name.rpartition("-")[0] for name in names)
    return {
        run_id for name in names if number_of(name) >= counts[run_id := name.rpartition("-")[0]]
    }


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
                rows = pq.read_table(lake.store.open(f"{taken.folder}/{path}")).to_pylist()
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
    records = {Path(each.path).stem: f"{each.path} {each.problem}" for each in stock.unreadable}
    known = {commit.commit_id: commit.shards for commit in stock.commits}
    folder = f"{QUARANTINE}/{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    return [
        Repaired(name, reason, folder, lake.store.set_aside(name, known.get(name), folder))
        for name, reason in sorted({**records, **reasons}.items())
    ]
