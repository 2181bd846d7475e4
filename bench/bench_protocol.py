"""What breaks first far past one machine: `python -m bench.bench_protocol [--commits N]`.

Lakes of real commit records, as 64 agents on as many models would leave them after so many ranges,
without a vector: what is measured is the protocol. At each size agents commit through the real
writer and store, a folder and a bucket in memory, and look at what is left of their work as before
every range. Printed are seconds of CPU of one process (of which nothing else that runs here makes
more), the requests that a bucket would be sent, and what a compaction makes of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from warehouse.catalogue import refresh
from warehouse.lake import Lake, RunSpec, RunWriter, compact, free, list_commits
from warehouse.lake.commits import _parsed
from warehouse.lake.records import checksum
from warehouse.status import status
from warehouse.storage.mirror import record_key
from warehouse.storage.objects import Objects, objects_at

AGENTS, RANGE, CELLS, DATASET = 64, 256, 120, "many"
MOST_WHOLE = 20_000
"""Commits beyond which what reads every record is not tried: it takes as much longer as there are
more. Nor is a bucket in memory filled further."""
PAGE = 1000
"""Keys of one listing request."""


def _spec(agent: int) -> RunSpec:
    return RunSpec("extract", f"model-{agent}", DATASET)


def _covers(place: int) -> dict[str, Any]:
    cells = [["llm", layer, ["mean", "last"]] for layer in range(CELLS // 2)]
    start = place * RANGE
    return {"start": start, "stop": start + RANGE, "cells": cells, "answers": ["likelihood"]}


def _records(begun: dict[str, dict[str, Any]], first: int, stop: int) -> Iterator[tuple[str, str]]:
    """Records number `first` … `stop` − 1 of the lake, the agents taking turns: (id, text)."""
    for number in range(first, stop):
        agent, n = number % AGENTS, number // AGENTS
        run_id = _spec(agent).run_id
        record = {**begun[run_id], "n": n, "covers": _covers(n), "shards": []}
        record["notes"] = {"seconds": {"forward": 1.0}, "n_images": RANGE}
        record["notes"]["check"] = checksum(record)
        yield f"{run_id}-{n}", json.dumps(record)


def _begin(lake: Lake) -> dict[str, dict[str, Any]]:
    """Each agent's first commit, by the real writer: the record, without its checksum, by run."""
    found = {}
    for agent in range(AGENTS):
        spec = _spec(agent)
        RunWriter(lake, spec).commit({}, _covers(0))
        lake.store.commit_names()
        record = json.loads((lake.commits_dir / f"{spec.run_id}-0.json").read_text())
        record["notes"].pop("check")
        found[spec.run_id] = record
    return found


def _grow(lake: Lake, begun: dict[str, dict[str, Any]], first: int, stop: int) -> None:
    for number, (name, text) in enumerate(_records(begun, first, stop), start=first):
        if lake.url is None:
            (lake.commits_dir / f"{name}.json").write_text(text)
        else:
            objects_at(lake.url).create(record_key(number), text.encode())


def _took(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def _measured(lake: Lake, n: int) -> dict[str, float]:
    """CPU seconds at n commits, of an agent that begins, then goes on, and of who reads."""
    agent, place = n % AGENTS, n // AGENTS
    spec = _spec(agent)
    writer, later = RunWriter(lake, spec), place + 10

    def look() -> object:
        return list_commits(lake, command="extract", model_id=spec.model_id, dataset_id=DATASET)

    _parsed.cache_clear()
    found = {"what is left, first look": _took(look), "what is left, again": _took(look)}
    found["first commit"] = _took(lambda: writer.commit({}, _covers(later)))
    again = [_took(partial(writer.commit, {}, _covers(later + at))) for at in (1, 2, 3)]
    found["a commit after it"] = min(again)
    if lake.url is None and n <= MOST_WHOLE:
        found["status"] = _took(lambda: status(lake))
        found["catalogue anew"] = _took(lambda: refresh(lake, force=True))
        RunWriter(lake, spec).commit({}, _covers(later + 5))
        found["catalogue after one commit"] = _took(lambda: refresh(lake))
    return found


class _Counting:
    """Counts the listings that a bucket is asked for, in pages."""

    def __init__(self) -> None:
        self.pages, self._entries = 0, Objects.entries

    def __enter__(self) -> _Counting:
        def counted(objects: Objects, *asked: Any, **named: Any) -> Any:
            found = self._entries(objects, *asked, **named)
            self.pages += 1 + len(found) // PAGE
            return found

        Objects.entries = counted  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        Objects.entries = self._entries  # type: ignore[method-assign]


def _said(where: str, size: int, found: dict[str, float]) -> None:
    told = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
    print(f"{where}, {size:,} commits: {told}", flush=True)


def _folder(place: Path, sizes: list[int]) -> None:
    lake, at = Lake.at(place), AGENTS
    begun = _begin(lake)
    for size in sizes:
        _grow(lake, begun, at, size)
        at = size
        _said("folder", size, _measured(lake, size))
        if size <= MOST_WHOLE:
            copy = Lake.at(shutil.copytree(place, place.with_name(f"joined-{size}")))
            print(f"compact: {_took(lambda lake=copy: list(compact(lake))):.1f} s")  # type: ignore[misc]
            free(copy)
            _said("joined", size, _measured(copy, size))


def _bucket(place: Path, sizes: list[int]) -> None:
    lake, at = Lake(place, "memory:///many"), AGENTS
    begun = _begin(lake)
    for size in sizes:
        _grow(lake, begun, at, size)
        found = _measured(lake, size)
        writer = RunWriter(lake, _spec(0))
        writer.commit({}, _covers(size))
        with _Counting() as counting:
            writer.commit({}, _covers(size + 1))
        at = size + AGENTS  # what was added above has the numbers in between
        _said("bucket", size, {**found, "list requests a commit": counting.pages})


def main(n: int) -> None:
    sizes = [n // 100, n // 10, n]
    with tempfile.TemporaryDirectory() as folder:
        _folder(Path(folder) / "lake", sizes)
        _bucket(Path(folder) / "mirror", [size for size in sizes if size <= MOST_WHOLE])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=200_000)
    main(parser.parse_args().commits)
