"""The pipeline of an extraction: images ahead of the model, shards behind it.

Threads decode and preprocess the coming batches while the model works on the current one, and a
writer thread turns finished units into shards; both wait in short queues, so memory does not grow
with the dataset.
"""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from threading import Lock, Thread, local
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

from extract.faults import Exchange, degraded
from extract.injection import DonorBatch
from extract.readouts import Blocks, Cell, cell_vectors
from extract.session import Session
from warehouse.images import open_image

AHEAD = 3
UNITS_WAITING = 2


@contextmanager
def leaving_a_core(device: str) -> Iterator[None]:
    """On the CPU, let the model use all of its threads but one, for the length of a block.

    Preparation and writing need the last one: where they compete with the model for a core, its
    other threads wait in their barriers, and two cores take ten times as long as one.
    """
    before = torch.get_num_threads()
    if device == "cpu" and before > 1:
        torch.set_num_threads(before - 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Stopwatch:
    """Seconds per kind of work, added up over threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = Lock()

    @contextmanager
    def timing(self, work: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.add(work, perf_counter() - started)

    def add(self, work: str, seconds: float) -> None:
        with self._lock:
            self.seconds[work] += seconds


@dataclass(frozen=True)
class Prepared:
    """One batch ready for the model; `inputs` are on the CPU, `donors` by fault."""

    sample_ids: Sequence[str]
    inputs: dict[str, Any]
    donors: Mapping[str, DonorBatch]


@dataclass
class Preparer:
    """Turns sample ids into model inputs: decoding, faults of the image, preprocessing."""

    session: Session
    uris: Mapping[str, str]
    faults: Sequence[Any] = ()
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)
    watch: Stopwatch = field(default_factory=Stopwatch)
    _own: local = field(init=False, default_factory=local)

    def __call__(self, sample_ids: Sequence[str]) -> Prepared:
        images = self._open(sample_ids)
        donors = {
            fault: batch
            for fault, exchange in self.exchanges.items()
            if (batch := self._donors(exchange, sample_ids, images)) is not None
        }
        return Prepared(sample_ids, self._encode(images), donors)

    def _open(self, sample_ids: Sequence[str]) -> list[Image.Image]:
        with self.watch.timing("decode"):
            return [degraded(open_image(self.uris[name]), self.faults) for name in sample_ids]

    def _encode(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        # Tokenizers refuse to be used by two threads at once, so each has a copy of its own.
        if not hasattr(self._own, "encoder"):
            self._own.encoder = copy.deepcopy(self.session.encoder)
        with self.watch.timing("preprocess"):
            encoded: dict[str, Any] = self._own.encoder(images)
            return encoded

    def _donors(
        self, exchange: Exchange, sample_ids: Sequence[str], images: Sequence[Image.Image]
    ) -> DonorBatch | None:
        """Donors take the size of the image they stand in for: same tokens, same places."""
        rows = [index for index, name in enumerate(sample_ids) if name in exchange.donors]
        if not rows:
            return None
        donors = self._open([exchange.donors[sample_ids[index]] for index in rows])
        fitted = [
            donor if donor.size == images[row].size else donor.resize(images[row].size)
            for row, donor in zip(rows, donors, strict=True)
        ]
        return DonorBatch(rows, self._encode(fitted))


def ahead(
    prepare: Callable[[Sequence[str]], Prepared],
    batches: Iterator[Sequence[str]],
    workers: int,
) -> Iterator[Prepared]:
    """Prepare batches in order, at most a few ahead of the one in use."""
    with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool:
        waiting: deque[Future[Prepared]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(prepare, batch))
                if len(waiting) > AHEAD + workers - 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class BackgroundWriter:
    """Runs writes one after the other in a thread; a context manager.

    The first error stops further writes and is raised by the next `put`, or at the end.
    """

    def __init__(self) -> None:
        self._queue: Queue[Callable[[], None] | None] = Queue(maxsize=UNITS_WAITING)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="write", daemon=True)

    def __enter__(self) -> "BackgroundWriter":
        self._thread.start()
        return self

    def put(self, write: Callable[[], None]) -> None:
        self._raise()
        self._queue.put(write)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _run(self) -> None:
        while (write := self._queue.get()) is not None:
            if self._error is None:
                try:
                    write()
                except BaseException as error:
                    self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


@dataclass
class UnitBuffer:
    """Collects the readouts and answers of one unit's batches; `cells` says where readouts lie."""

    cells: Mapping[Cell, tuple[int, slice]]
    answers: list[dict[str, Any]] = field(default_factory=list)
    sample_ids: list[str] = field(default_factory=list)
    _blocks: list[Blocks] = field(default_factory=list)

    def add(
        self, sample_ids: Sequence[str], blocks: Blocks, answers: Sequence[dict[str, Any]]
    ) -> None:
        self.sample_ids.extend(sample_ids)
        self._blocks.append(blocks)
        self.answers.extend(answers)

    def vectors(self) -> dict[Cell, np.ndarray[Any, np.dtype[np.float32]]]:
        """All vectors of the unit by cell, (samples, width), ordered by sample id."""
        order = np.argsort(np.array(self.sample_ids, dtype=object))
        whole = {
            width: np.concatenate([blocks[width] for blocks in self._blocks])[order]
            for width in {width for width, _ in self.cells.values()}
        }
        return cell_vectors(whole, self.cells)
