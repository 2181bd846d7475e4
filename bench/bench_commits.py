"""What very many small commits cost: `python -m bench.bench_commits [--commits 10000]`.

One lake gets a commit for every sample, another the same rows in a hundredth of the commits.
Printed are the cost of a commit along the way, and what looking, reading and rebuilding take in the
first lake as multiples of the second, before and after `compact` and `--free`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warehouse.catalogue import connect, refresh
from warehouse.lake import Lake, RunSpec, RunWriter, compact, free, list_commits
from warehouse.lake.commits import _parsed

MODEL, DATASET, FEWER = "bench", "made-up", 100


def _rows(names: list[str]) -> dict[str, list[dict[str, Any]]]:
    of = {"model_id": MODEL, "dataset_id": DATASET}
    said = {"method": "generate", "predicted_class_index": 1, "label_logprobs": None, "text": "one"}
    more = ("label_logprobs_per_token", "label_pmi", "end_token", "options", "finish_reason")
    rest = dict.fromkeys((*more, "n_tokens", "raw_text")) | {"parsed": True}
    return {
        "activation": [
            {**of, "module": "llm", "layer": layer, "readout": "last", "sample_id": name}
            | {"vector": [float(layer)] * 64}
            for name in names
            for layer in range(4)
        ],
        "answer": [{**of, "sample_id": name, **said, **rest} for name in names],
    }


def _fill(lake: Lake, n: int, size: int) -> list[float]:
    """A lake of n samples in commits of `size`; milliseconds a commit in each tenth of them."""
    cells = [["llm", layer, ["last"]] for layer in range(4)]
    with RunWriter(lake, RunSpec("extract", MODEL, DATASET)) as writer:
        took = []
        for start in range(0, n, size):
            covers = {"start": start, "stop": start + size, "cells": cells, "answers": ["generate"]}
            rows = _rows([f"{index:06}" for index in range(start, start + size)])
            begun = time.perf_counter()
            writer.commit(rows, covers, {"n_images": size, "seconds": {"forward": 0.01}})
            took.append(1000 * (time.perf_counter() - begun))
        writer.finish()
    tenth = max(1, len(took) // 10)
    return [sorted(took[i : i + tenth])[tenth // 2] for i in range(0, len(took), tenth)]


def _seconds(act: Callable[[], object], times: int = 1) -> float:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        act()
        found.append(time.perf_counter() - begun)
    return min(found)


def _look(lake: Lake) -> object:
    _parsed.cache_clear()  # as a process that begins
    return list_commits(lake)


def _read(lake: Lake) -> None:
    with connect(lake) as wh:
        wh.vectors(MODEL, DATASET, "llm", 3, "last")


def _measured(lake: Lake) -> dict[str, float]:
    return {
        "rebuild the catalogue": _seconds(lambda: refresh(lake, force=True)),
        "open it, nothing new": _seconds(lambda: connect(lake).close(), 3),
        "look at all commits, first time": _seconds(lambda: _look(lake), 3),
        "the same again": _seconds(lambda: list_commits(lake), 3),
        "read one locus": _seconds(lambda: _read(lake), 3),
    }


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        many, few = (Lake.at(Path(folder) / name) for name in ("many", "few"))
        along = _fill(many, n, 1)
        print("ms a commit, by tenths:", " ".join(f"{each:.1f}" for each in along))
        print(f"last tenth / first: {along[-1] / along[0]:.2f}")
        _fill(few, n, FEWER)
        base, before = _measured(few), _measured(many)
        print(f"compact: {_seconds(lambda: list(compact(many))):.1f} s")
        print(f"free: {_seconds(lambda: free(many)):.1f} s")
        after = _measured(many)
        print(f"| | {n // FEWER:,} commits | {n:,} commits | × | compacted | × |")
        for name, held in base.items():
            print(
                f"| {name} | {held:.3f} s | {before[name]:.3f} s | {before[name] / held:.1f} "
                f"| {after[name]:.3f} s | {after[name] / held:.1f} |"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=2000)
    main(parser.parse_args().commits)
