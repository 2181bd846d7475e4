"""What breaks first far past one machine: `python -m bench.bench_protocol [--commits 200000]`.

Lakes of real commit records, as 64 agents on as many models would leave them after so many ranges,
without a vector: what is measured is the protocol. At each size agents commit through the real
writer and store, a folder and a bucket in memory, and look at what is left of their work as before
every range. Printed are seconds of CPU of one process (of which nothing else that runs here makes
more), the requests that a bucket would be sent, and what a compaction makes of it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from warehouse.catalogue import refresh
from warehouse.lake import Lake, RunSpec, RunWriter, compact, find_runs, list_commits
from warehouse.lake.commits import _parsed
from warehouse.lake.records import checksum
from warehouse.status import status
from warehouse.storage.mirror import record_key
from warehouse.storage.objects import Objects, objects_at

AGENTS, RANGE, CELLS, DATASET = 64, 256, 120, "many"
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
    if lake.url is None:
        found["all runs"] = _took(lambda: find_runs(lake))
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


def _table(title: str, columns: dict[str, dict[str, float]]) -> None:
    print(f"\n| {title} | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for name in next(iter(columns.values())):
        print(f"| {name} | {' | '.join(f'{each[name]:.3g}' for each in columns.values())} |")


def main(n: int) -> None:
    sizes = [n // 100, n // 10, n]
    with tempfile.TemporaryDirectory() as folder:
        for title, lake in (
            ("folder, CPU s", Lake.at(Path(folder) / "lake")),
            ("bucket, CPU s", Lake(Path(folder) / "mirror", "memory:///many")),
        ):
            begun, at, columns = _begin(lake), AGENTS, {}
            for size in sizes:
                _grow(lake, begun, at, size)
                at = size + AGENTS * 20  # what the measured agents add lies before it
                with _Counting() as counting:
                    columns[f"{size:,} commits"] = found = _measured(lake, size)
                if lake.url is not None:
                    before = counting.pages
                    with counting:
                        writer = RunWriter(lake, _spec(0))
                        writer.commit({}, _covers(size))
                        before = counting.pages
                        writer.commit({}, _covers(size + 1))
                    found["list requests a commit"] = counting.pages - before
            if lake.url is None:
                print(f"compact: {_took(lambda lake=lake: list(compact(lake))):.1f} CPU s")  # type: ignore[misc]
                columns["compacted"] = _measured(lake, n)
            _table(title, columns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=20_000)
    main(parser.parse_args().commits)
