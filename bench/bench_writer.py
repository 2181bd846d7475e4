"""Writing what a 7B model holds: one thread against several behind the same model.

`python -m bench.bench_writer` prints images per second of one and of more writer threads, in turns,
with the CPU time of an image, the resident memory at its highest, and what 300 images a second
would take. A stand-in for the model hands over fp16 values as fast as they are taken.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time, thread_time

import numpy as np

from extract.reading import CellVectors
from extract.running import BackgroundWriter, BatchResult, RangeResult, Write, activation_table
from extract.sharing import MOST_SAMPLES, Range
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.vocabulary import CONNECTOR, LLM, VISION, Cell

TOWER, DECODER = 1280, 3584
BATCH = 16
GOAL = 300
"""Images per second that one agent is to keep up with."""


def places() -> dict[Cell, tuple[int, slice]]:
    """Where a batch holds each cell: 32 layers of the tower, the connector and 29 of the decoder at
    two readouts, and grids at the end of each module."""
    asked = [(TOWER, Cell(VISION, layer, "mean"), 1) for layer in range(32)]
    asked += [(TOWER, Cell(VISION, 31, "grid"), 4)]
    asked += [(DECODER, Cell(CONNECTOR, 0, "mean"), 1), (DECODER, Cell(CONNECTOR, 0, "grid"), 4)]
    asked += [(DECODER, Cell(LLM, at, name), 1) for at in range(29) for name in ("mean", "last")]
    asked += [(DECODER, Cell(LLM, 28, "grid"), 4)]
    ends, found = {TOWER: 0, DECODER: 0}, {}
    for width, cell, slots in asked:
        found[cell] = width, slice(ends[width], ends[width] + slots)
        ends[width] += slots
    return found


@dataclass(frozen=True)
class StandIn:
    """Hands over batches of a 7B model's shape, each in memory of its own; every range is alike."""

    places: dict[Cell, tuple[int, slice]]
    blocks: dict[int, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]

    @classmethod
    def random(cls) -> "StandIn":
        """Channels of very different scales, as trained models' states have, of fp16 values."""
        rng, where = np.random.default_rng(0), places()
        blocks = {}
        for width in (TOWER, DECODER):
            n = max(slots.stop for other, slots in where.values() if other == width)
            scale = np.exp(rng.normal(0, 1.2, (n, width))).astype(np.float32)
            values = rng.standard_normal((MOST_SAMPLES, n, width), dtype=np.float32) * scale
            blocks[width] = values.astype(np.float16).astype(np.float32)
        return cls(where, blocks)

    def ranges(self, n: int) -> Iterator[RangeResult]:
        for start in range(0, n * MOST_SAMPLES, MOST_SAMPLES):
            result = RangeResult(Range(start, start + MOST_SAMPLES, (), ()))
            for first in range(start, start + MOST_SAMPLES, BATCH):
                names = [f"{index:08}" for index in range(first, first + BATCH)]
                here = slice(first - start, first - start + BATCH)
                blocks = {width: block[here].copy() for width, block in self.blocks.items()}
                result.add(BatchResult(names, CellVectors(self.places, blocks), ()))
            yield result

    @property
    def n_values(self) -> int:
        """Those of one image."""
        return sum(block[0].size for block in self.blocks.values())


def _write(writer: RunWriter, result: RangeResult) -> Write:
    def write(in_turn: Callable[[], None]) -> None:
        names = result.sample_ids
        rows = activation_table("bench", "bench", names, result.take_vectors())
        writer.commit({"activation": rows}, in_turn=in_turn)

    return write


@dataclass(frozen=True)
class Pace:
    """Images per second, CPU seconds of an image without those of the stand-in, megabytes
    resident at the most and before anything was written, and megabytes written per image."""

    rate: float
    cpu: float
    most: float
    before: float
    written: float


def measure(folder: str, threads: int, n_ranges: int) -> Pace:
    """What so many threads write; in a process of its own, for its memory's sake."""
    stand_in, lake = StandIn.random(), Lake.at(Path(folder, f"lake-{os.getpid()}"))
    writer = RunWriter(lake, RunSpec("extract", "bench", "bench"))
    with BackgroundWriter() as background:  # a first small write opens what is opened once
        background.put(_write(writer, next(stand_in.ranges(1))))
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    started, cpu, own = perf_counter(), process_time(), thread_time()
    with BackgroundWriter(threads) as background:
        for result in stand_in.ranges(n_ranges):
            background.put(_write(writer, result))
    n, spent = n_ranges * MOST_SAMPLES, perf_counter() - started
    cpu = (process_time() - cpu) - (thread_time() - own)
    written = sum(path.stat().st_size for path in lake.root.rglob("*.parquet")) / 2**20
    most = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    return Pace(n / spent, cpu / n, most, before, written / (n + MOST_SAMPLES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ranges", type=int, default=8, help="of 256 images each")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    n_values = StandIn.random().n_values
    print(
        f"writing {n_values:,} values an image ({n_values * 2 / 1e6:.2f} MB in fp16), "
        f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}"
    )
    best: dict[int, Pace] = {}
    for _ in range(asked.rounds):
        for threads in asked.threads:
            with tempfile.TemporaryDirectory() as folder:
                fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
                with fresh as pool:
                    pace = pool.submit(measure, folder, threads, asked.ranges).result()
            if threads not in best or pace.rate > best[threads].rate:
                best[threads] = pace
    first = best[asked.threads[0]]
    for threads, pace in best.items():
        print(
            f"  {threads} threads {pace.rate:6.0f} images/s, {pace.rate / first.rate:.2f} of the "
            f"first; {1000 * pace.cpu:.2f} ms of CPU time an image; {pace.written:.2f} MB each; "
            f"at most {pace.most:,.0f} MB resident, {pace.before:,.0f} after a first range"
        )
    print(f"  {GOAL} images/s take {GOAL * min(p.cpu for p in best.values()):.1f} cores")


if __name__ == "__main__":
    main()
