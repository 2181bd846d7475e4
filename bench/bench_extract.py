"""What extraction costs over the model's own forward pass, as ratios measured in one run.

    python bench/bench_extract.py [--images N] [--batch-size N] [--rounds N] [--model M]

All sides get identical, already preprocessed inputs and the same threads, and take turns, so that a
machine's other work hits them alike; each side's best round counts. Readouts and answers go to a
real lake. As in the agent, one core is left to the threads around the model.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import torch

from extract.loading import load
from extract.parsing import ClassNames
from extract.pipeline import (
    BackgroundWriter,
    Prepared,
    Preparer,
    Stopwatch,
    UnitBuffer,
    leaving_a_core,
)
from extract.prompts import build_prompt, phrase_tokens
from extract.rows import activation_table, model_rows
from extract.runner import Runner, rows_of
from extract.selection import Wanted, select
from extract.selfcheck import check
from extract.session import Session, open_session
from warehouse.images import open_image
from warehouse.lake import Lake
from warehouse.runs import RunSpec, RunWriter

PHRASES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
UNIT = 256


@dataclass(frozen=True)
class Bench:
    """One model with its preprocessed batches."""

    session: Session
    phrases: list[list[int]]
    batches: list[Prepared]
    wanted: Wanted

    @property
    def n_images(self) -> int:
        return sum(len(batch.sample_ids) for batch in self.batches)

    def bare(self) -> None:
        """The model's own batched forward pass, nothing else."""
        for batch in self.batches:
            self.session.forward(self.session.on_device(batch.inputs))

    def extraction(self, folder: Path, answers: Sequence[str]) -> Stopwatch:
        """What the agent does with prepared batches: read, answer, write shards to a lake."""
        watch = Stopwatch()
        classes = [ClassNames(phrase, phrase) for phrase in PHRASES]
        runner = Runner(self.session, None, classes, self.phrases, False, watch)
        writer = RunWriter(
            Lake.at(folder), RunSpec("extract", "bench", "bench", {"at": uuid4().hex})
        )
        writer.commit(model_rows("bench", "base", self.session.loaded, self.session.anatomy))
        with runner, BackgroundWriter() as background:
            runner.read(self.wanted)
            for unit in self._units():
                buffer = UnitBuffer(runner.cells)
                for batch in unit:
                    blocks, said = runner.run(batch, answers)
                    rows = rows_of("bench", "bench", batch.sample_ids, said)
                    buffer.add(batch.sample_ids, blocks, rows)
                background.put(_writing(writer, buffer, watch))
        return watch

    def _units(self) -> Iterator[list[Prepared]]:
        per_unit = max(UNIT // len(self.batches[0].sample_ids), 1)
        for start in range(0, len(self.batches), per_unit):
            yield self.batches[start : start + per_unit]


def _writing(writer: RunWriter, buffer: UnitBuffer, watch: Stopwatch) -> Callable[[], None]:
    def write() -> None:
        with watch.timing("write"):
            tables = {"activation": activation_table("bench", "bench", buffer)}
            writer.commit(tables | ({"answer": buffer.answers} if buffer.answers else {}))

    return write


def prepare(model: str, n_images: int, batch_size: int) -> Bench:
    loaded = load(model)
    question = build_prompt(PHRASES)
    phrases = [phrase_tokens(loaded.processor, question, phrase) for phrase in PHRASES]
    uris = {f"{index:04}": f"sklearn-digits:{index % 1797}" for index in range(n_images)}
    images = [open_image(uri) for uri in list(uris.values())[:2]]
    session = check(open_session(loaded, question), images, phrases).session
    preparer, names = Preparer(session, uris), list(uris)
    batches = [preparer(names[i : i + batch_size]) for i in range(0, n_images, batch_size)]
    return Bench(session, phrases, batches, select(session.anatomy, session.readouts))


def best_seconds(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Each side's fastest round; sides take turns within a round."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, side in sides.items():
            started = perf_counter()
            side()
            best[name] = min(best[name], perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="tiny-digits")
    asked = parser.parse_args()
    with leaving_a_core("cpu"):
        compare(asked)


def compare(asked: argparse.Namespace) -> None:
    """Measure all sides and print one line for each."""
    bench = prepare(asked.model, asked.images, asked.batch_size)
    bench.bare()
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        sides = {
            "bare forward": bench.bare,
            "readouts": lambda: bench.extraction(lake, ()),
            "readouts, likelihood": lambda: bench.extraction(lake, ("likelihood",)),
            "readouts, both answers": lambda: bench.extraction(lake, ("likelihood", "generate")),
        }
        seconds = best_seconds(sides, asked.rounds)
    vectors = sum(len(readouts) for _, readouts in bench.wanted)
    name = Path(asked.model).name
    print(
        f"{name}: {asked.images} images in batches of {asked.batch_size}, {vectors} vectors each, "
        f"{torch.get_num_threads()} threads for the model"
    )
    for side, spent in seconds.items():
        ratio = seconds["bare forward"] / spent
        print(f"{side:24} {asked.images / spent:8.0f} images/s   {ratio:6.1%} of the bare forward")


if __name__ == "__main__":
    main()
