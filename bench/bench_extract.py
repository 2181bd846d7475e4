"""What extraction costs over the model's own forward pass, as ratios measured in one run.

    python -m bench.bench_extract [--shape S]… [--images N] [--batch-size N] [--rounds N]

Shapes: tiny (4 + 4 layers of 64), deep (24 + 32 layers of 128), packed (a tiny Qwen2.5-VL, whose
images share one long matrix); a path or registry name is measured as it is. All sides get
identical, already preprocessed inputs and the same threads, and take turns, so that a machine's
other work hits them alike; each side's best round counts. "By CPU" compares the CPU time of the
thread that runs the model, which neighbours disturb less. Readouts (mean and last of all loci) and
answers go to a real lake. As in the agent, one core is left to the threads around the model. The
SQLite loop does what the closest peer does: one image at a time, one commit per pickled tensor.
"""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import torch
import transformers

from extract.anatomy import watching
from extract.answering import Question
from extract.models import Session, build_prompt, load, open_session, phrase_tokens, unseeing_tokens
from extract.models.prompt_entries import Wording
from extract.reading import CellVectors, Wanted, select
from extract.replies import ClassNames
from extract.running import (
    BackgroundWriter,
    BatchResult,
    Prepared,
    Preparer,
    RangeResult,
    Runner,
    Stopwatch,
    Write,
    activation_table,
    answer_rows,
    check,
    find_sees_once,
    leaving_a_core,
    model_rows,
)
from extract.sharing import MOST_SAMPLES, Range, Way
from extract.sharing.asking import asked_by
from extract.training import Recipe, build_model, build_processor
from tests.extract.tiny_families import save_family
from warehouse.catalogue import connect
from warehouse.images import open_image
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.vocabulary import Cell

PHRASES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SHAPES = {"tiny": (64, 4, 4), "deep": (128, 24, 32)}
"""Width, vision layers and decoder layers."""
Held = dict[str, torch.Tensor]
"""What one image leaves at each locus, by its name."""
LOOPED = 32
"""Images that the SQLite loop is measured on."""
N_PROMPTS = 8
SLACK = 8
"""Tokens of a reply beyond the longest class name: where replies ended before they had budgets, so
that the ratios of before and after compare."""


@dataclass(frozen=True)
class Bench:
    """One model with its preprocessed batches."""

    session: Session
    question: Question
    batches: list[Prepared]
    wanted: Wanted
    singles: list[tuple[str, dict[str, Any]]]

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
        runner = Runner(self.session, None, {None: self.question}, watch)
        writer = RunWriter(
            Lake.at(folder), RunSpec("extract", "bench", "bench", {"at": uuid4().hex})
        )
        writer.commit(model_rows("bench", "base", self.session.loaded, self.session.anatomy))
        with runner, BackgroundWriter() as background:
            for batches in self._ranges():
                n = sum(len(batch.sample_ids) for batch in batches)
                result = RangeResult(Range(0, n, self.wanted, tuple(answers)))
                begun: deque[Callable[[], BatchResult]] = deque()
                for batch in batches:  # one batch is on its way while the next is computed
                    begun.append(runner.run(batch, self.wanted, answers, hurried=True))
                    if len(begun) > 1:
                        result.add(begun.popleft()())
                    result.late += (answer for _, answer in runner.replies() if answer)
                result.add(begun.popleft()())
                result.late += (answer for _, answer in runner.replies(rest=True) if answer)
                background.put(_writing(writer, result, watch))
        return watch

    def sqlite_loop(self, folder: Path) -> None:
        """One image at a time; every locus' pooled tensor is pickled and committed by itself."""
        database = sqlite3.connect(folder / f"{uuid4().hex}.db")
        database.execute("CREATE TABLE tensors (name TEXT, layer TEXT, tensor BLOB)")
        loci = [locus for locus, _ in self.wanted]
        for name, inputs in self.singles[:LOOPED]:
            held: Held = {}

            def hold(
                index: int, states: torch.Tensor, held: dict[str, torch.Tensor] = held
            ) -> None:
                held.setdefault(loci[index].name, states)

            with watching(self.session.model, loci, hold):
                self.session.forward(self.session.on_device(inputs))
            for layer, states in held.items():
                blob = io.BytesIO()
                torch.save(states.flatten(0, -2).mean(dim=0), blob)
                row = (name, layer, blob.getvalue())
                database.execute("INSERT INTO tensors VALUES (?, ?, ?)", row)
                database.commit()
        database.close()

    def _ranges(self) -> Iterator[list[Prepared]]:
        per_range = max(MOST_SAMPLES // len(self.batches[0].sample_ids), 1)
        for start in range(0, len(self.batches), per_range):
            yield self.batches[start : start + per_range]


def _writing(writer: RunWriter, result: RangeResult, watch: Stopwatch) -> Write:
    def write(in_turn: Callable[[], None]) -> None:
        with watch.timing("write"):
            rows = activation_table("bench", "bench", result.sample_ids, result.take_vectors())
            answers = answer_rows("bench", "bench", result.answers)
            tables = {"activation": rows} | ({"answer": answers} if answers else {})
            writer.commit(tables, in_turn=in_turn)

    return write


def build(shape: str, folder: Path) -> str:
    """The model folder of a named shape, random weights; any other name stands for itself."""
    if shape == "packed":
        return str(save_family("qwen2_5_vl", folder / shape))
    if shape not in SHAPES:
        return shape
    width, vision, decoder = SHAPES[shape]
    recipe = Recipe(width=width, layers=vision)
    processor = build_processor(build_prompt(PHRASES), PHRASES, recipe)
    torch.manual_seed(0)
    config = build_model(processor.tokenizer, recipe).config
    config.text_config.num_hidden_layers = decoder
    config.text_config.layer_types = None
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder / shape)
    processor.save_pretrained(folder / shape)
    return str(folder / shape)


def asking(session: Session, question: str, phrases: list[list[int]]) -> Question:
    """The question as a run asks it: class names end, and count less where there is no image."""
    return Question(
        [ClassNames(phrase, phrase) for phrase in PHRASES],
        phrases,
        letters=False,
        max_new_tokens=max(map(len, phrases)) + SLACK,
        end_token=session.end_token,
        end="",
        unseeing=unseeing_tokens(session.loaded.processor, Wording(question)),
    )


def prepare(model: str, n_images: int, batch_size: int) -> Bench:
    loaded = load(model)
    question = build_prompt(PHRASES)
    phrases = phrase_tokens(loaded.processor, Wording(question), PHRASES)
    uris = {f"{index:04}": f"sklearn-digits:{index % 1797}" for index in range(n_images)}
    images = [open_image(uri) for uri in list(uris.values())[:2]]
    session = check(open_session(loaded, Wording(question)), images, phrases).session
    preparer, names = Preparer(session, uris), list(uris)
    batches = [preparer(names[i : i + batch_size]) for i in range(0, n_images, batch_size)]
    singles = [(name, preparer([name]).inputs) for name in names[:LOOPED]]
    wanted = [
        (locus, kept)
        for locus, names in select(session.anatomy, session.readouts)
        if (kept := tuple(name for name in names if name in ("mean", "last")))
    ]
    asked = asking(session, question, phrases)
    return Bench(session, asked, batches, wanted, singles)


@dataclass
class Rate:
    """A side's best round: images per second, and per CPU second of the thread with the model."""

    wall: float = 0.0
    thread: float = 0.0


def rates(sides: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, Rate]:
    """Each side's rates in its fastest round; sides take turns within a round."""
    best = {name: Rate() for name in sides}
    for _ in range(rounds):
        for name, (side, images) in sides.items():
            started, own = perf_counter(), thread_time()
            side()
            best[name].thread = max(best[name].thread, images / (thread_time() - own))
            best[name].wall = max(best[name].wall, images / (perf_counter() - started))
    return best


def compare(shape: str, asked: argparse.Namespace, lake: Path) -> None:
    """Measure all sides on one shape and print a line for each."""
    n = asked.images if shape != "deep" else max(asked.images // 8, asked.batch_size)
    bench = prepare(build(shape, lake), n, asked.batch_size)
    bench.bare()
    sides: dict[str, tuple[Callable[[], object], int]] = {
        "bare forward": (bench.bare, n),
        "readouts": (lambda: bench.extraction(lake, ()), n),
        "readouts, likelihood": (lambda: bench.extraction(lake, ("likelihood",)), n),
        "readouts, both answers": (
            lambda: bench.extraction(lake, ("likelihood", "generate")),
            n,
        ),
        "SQLite loop": (lambda: bench.sqlite_loop(lake), min(LOOPED, n)),
    }
    found = rates(sides, asked.rounds)
    vectors = sum(len(readouts) for _, readouts in bench.wanted)
    print(
        f"{Path(shape).name}: {n} images in batches of {asked.batch_size}, {vectors} vectors each, "
        f"{torch.get_num_threads()} threads for the model"
    )
    bare = found["bare forward"]
    for side, rate in found.items():
        share, own = rate.wall / bare.wall, rate.thread / bare.thread
        print(f"  {side:24} {rate.wall:8.1f} images/s {share:7.1%} of the bare {own:7.1%} by CPU")
    times = found["readouts"].wall / found["SQLite loop"].wall
    print(f"  readouts over the SQLite loop: {times:.1f} times")


def prompts(shape: str, asked: argparse.Namespace, lake: Path) -> None:
    """A sweep over eight prompts against as many forward passes of the model, image and all."""
    bench = prepare(build(shape, lake / "prompts"), asked.images // 4, asked.batch_size)
    session, ways = bench.session, [Way(f"p{number}") for number in range(N_PROMPTS)]
    texts = {way: f"{session.encoder.prompt} {way.prompt_id}" for way in ways}
    uris = {f"{index:04}": f"sklearn-digits:{index % 1797}" for index in range(bench.n_images)}
    preparer = Preparer(session, uris, prompts=texts)
    swept = [preparer(batch.sample_ids, ways) for batch in bench.batches]
    seen = find_sees_once(session, [open_image(uri) for uri in uris.values()], [*texts.values()])
    questions: dict[Way | None, Question] = dict.fromkeys(ways, bench.question)

    def plain() -> None:
        for batch in swept:
            for way in ways:
                session.forward(session.on_device(batch.of(way)[0]))

    def sweep(method: str) -> None:
        answers = [asked_by(method, way) for way in ways] if method else []
        with Runner(session, None, questions, Stopwatch(), seen) as runner:
            for batch in swept:
                runner.run(batch, (), answers)()

    n = bench.n_images * N_PROMPTS
    sides: dict[str, tuple[Callable[[], object], int]] = {
        "forward passes": (plain, n),
        "prompts alone": (lambda: sweep(""), n),
        "prompts, likelihood": (lambda: sweep("likelihood"), n),
    }
    found = rates(sides, asked.rounds)
    print(f"{Path(shape).name}: {N_PROMPTS} prompts, {', '.join(seen)} run once an image")
    for side, rate in found.items():
        taken = found["forward passes"].thread / rate.thread
        print(f"  {side:24} {N_PROMPTS * taken:5.2f} forward passes by CPU")


def scaling(asked: argparse.Namespace, lake: Path) -> None:
    """Seconds per image and resident memory of whole extractions over 1, 4 and 16 parts."""
    print("scaling (tiny, readouts; resident memory after each)")
    base: float | None = None
    (lake / "scaling").mkdir()
    bench = prepare(build("tiny", lake / "scaling"), asked.images // 4, asked.batch_size)
    bench.extraction(lake, ())
    for times in (1, 4, 16):
        longer = replace(bench, batches=bench.batches * times)
        started = perf_counter()
        longer.extraction(lake, ())
        each = (perf_counter() - started) / longer.n_images
        base = base or each
        memory = Path("/proc/self/statm").read_text().split()[1]
        resident = int(memory) * os.sysconf("SC_PAGE_SIZE") / 2**20
        print(
            f"  {times:3}× {1000 * each:8.2f} ms/image {each / base:6.2f} of 1× {resident:7.0f} MB"
        )


def storage(folder: Path) -> None:
    """The shard writer against the disk's own rate, and reading a locus against bare pyarrow."""
    rng = np.random.default_rng(0)
    n, width = 20_000, 4_096
    # As trained models' states are: channels of very different scales, fp16 values.
    scale = np.exp(rng.normal(0, 1.2, width)).astype(np.float32)
    values = (rng.standard_normal((n, width), dtype=np.float32) * scale).astype(np.float16)
    lake = Lake.at(folder / "storage")
    writer = RunWriter(lake, RunSpec("extract", "bench", "bench"))
    writer.commit(_dataset_rows(n))
    started, n_bytes = perf_counter(), 0
    for start in range(0, n, MOST_SAMPLES):
        part = values[start : start + MOST_SAMPLES].astype(np.float32)
        places = {Cell("llm", 0, "last"): (width, slice(0, 1))}
        vectors = CellVectors(places, {width: part[:, None]})
        names = [f"{index:06}" for index in range(start, start + len(part))]
        commit = writer.commit({"activation": activation_table("bench", "bench", names, vectors)})
        n_bytes += sum(s.bytes for s in commit.shards if s.table == "activation")
    spent = perf_counter() - started
    disk = _disk_rate(folder / "raw", n_bytes)
    print(f"storage of {n:,} × {width:,} from fp16 (synthetic scales, not a trained model's)")
    print(f"  bytes per vector over raw fp16: {n_bytes / values.nbytes:.3f}")
    print(f"  shards written: {n_bytes / spent / 1e6:.0f} MB/s; the disk alone: {disk:.0f} MB/s")
    paths = sorted((lake.root / "activation").rglob("*.parquet"))
    with connect(lake) as wh:
        best = {"ours": float("inf"), "pyarrow": float("inf")}
        for _ in range(3):
            started = perf_counter()
            matrix, _ = wh.activations("bench", "bench", "llm", 0, "last")
            best["ours"] = min(best["ours"], perf_counter() - started)
            assert matrix.shape == (n, width)
            started = perf_counter()
            column = pq.ParquetDataset(paths).read(columns=["vector"])["vector"]
            flat = column.combine_chunks().flatten().to_numpy().reshape(n, width)
            best["pyarrow"] = min(best["pyarrow"], perf_counter() - started)
            del matrix, flat, column
    print(f"  reading the locus: {best['ours'] / best['pyarrow']:.2f} of bare pyarrow's time")


def _dataset_rows(n: int) -> dict[str, list[dict[str, Any]]]:
    """A dataset of n samples of one class."""
    of = {"dataset_id": "bench"}
    title = {"title": "bench", "n_samples": n, "n_classes": 1, "licence": None, "pixel_rule": None}
    fixed = {"uri": "", "sha256": "", "class_index": 0, "split": "train", "width": 1, "height": 1}
    names = [f"{index:06}" for index in range(n)]
    return {
        "dataset": [of | title],
        "class": [of | {"class_index": 0, "label": "a", "phrase": "a"}],
        "sample": [of | fixed | {"sample_id": name, "group_id": name} for name in names],
    }


def _disk_rate(path: Path, n_bytes: int) -> float:
    """MB/s of writing as many random bytes in one go, fsync included."""
    data = os.urandom(n_bytes)
    started = perf_counter()
    with path.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    return n_bytes / (perf_counter() - started) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", help="tiny, deep, packed, or a model")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with leaving_a_core("cpu"), tempfile.TemporaryDirectory() as folder:
        for shape in asked.shape or ("tiny", "deep", "packed"):
            compare(shape, asked, Path(folder))
            prompts(shape, asked, Path(folder))
        if not asked.shape:
            scaling(asked, Path(folder))
            storage(Path(folder))


if __name__ == "__main__":
    main()
