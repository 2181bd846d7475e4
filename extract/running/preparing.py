"""The pipeline of an extraction: images ahead of the model, shards behind it.

Worker processes (or a thread, where there is little to do) decode and preprocess the coming batches
while the model works on the current one, and a writer thread turns finished units into shards; both
wait in short queues, so memory does not grow with the dataset.
"""

import copy
import multiprocessing
import os
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Queue
from threading import Lock, Thread, local
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from extract.faults.injector import DonorBatch
from extract.faults.spec import Exchange, degraded
from extract.models.session import Session
from extract.reading.reader import Blocks, Cell, cell_vectors
from warehouse.errors import LayerhouseError
from warehouse.images import MAX_PIXELS, open_image

AHEAD = 3
UNITS_WAITING = 2
FEW_IMAGES = 512
"""Up to this many, starting worker processes costs more than they save."""
MOST_PREPARERS = 8


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
        self._before: dict[str, float] = {}
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

    def lap(self) -> dict[str, float]:
        """The seconds that were added since the last lap."""
        with self._lock:
            now = dict(self.seconds)
            since = {work: spent - self._before.get(work, 0.0) for work, spent in now.items()}
            self._before = now
        return {work: round(spent, 3) for work, spent in since.items()}


@dataclass(frozen=True)
class Prepared:
    """One batch ready for the model; `inputs` are on the CPU, `donors` by fault.

    `rejected` says why samples of the batch could not be prepared: they are not in `sample_ids`,
    which may be empty. `seconds` is what preparing took, per kind of work.
    """

    sample_ids: Sequence[str]
    inputs: dict[str, Any]
    donors: Mapping[str, DonorBatch]
    rejected: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_asked(self) -> int:
        return len(self.sample_ids) + len(self.rejected)


@dataclass
class Preparer:
    """Turns sample ids into model inputs: decoding, faults of the image, preprocessing.

    An image that cannot be decoded, has more than `max_pixels` pixels or that the model's
    preprocessing refuses is rejected; the batch goes on without it.
    """

    session: Session
    uris: Mapping[str, str]
    faults: Sequence[Any] = ()
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    _own: local = field(init=False, default_factory=local)

    def __call__(self, sample_ids: Sequence[str]) -> Prepared:
        watch = Stopwatch()
        rejected: dict[str, str] = {}
        with watch.timing("decode"):
            opened = self._open(sample_ids, rejected)
        with watch.timing("preprocess"):
            inputs = self._encode_all(opened, rejected)
            names = list(opened)
            donors = {
                fault: DonorBatch(
                    [names.index(name) for name in struck],
                    self._encode([opened[name][1][fault] for name in struck]),
                )
                for fault in self.exchanges
                if (struck := [name for name in names if fault in opened[name][1]])
            }
        return Prepared(names, inputs, donors, rejected, dict(watch.seconds))

    def _open(self, sample_ids: Sequence[str], rejected: dict[str, str]) -> "_Opened":
        """Every readable image with its donors, by fault."""
        opened: _Opened = {}
        for name in sample_ids:
            try:
                image = self._image(name)
                opened[name] = (
                    image,
                    {
                        fault: self._donor(exchange.donors[name], image)
                        for fault, exchange in self.exchanges.items()
                        if name in exchange.donors
                    },
                )
            except LayerhouseError as error:
                rejected[name] = str(error)
        return opened

    def _image(self, name: str) -> Image.Image:
        return degraded(open_image(self.uris[name], max_pixels=self.max_pixels), self.faults)

    def _donor(self, name: str, image: Image.Image) -> Image.Image:
        """Donors take the size of the image they stand in for: same tokens, same places."""
        donor = self._image(name)
        return donor if donor.size == image.size else donor.resize(image.size)

    def _encode_all(self, opened: "_Opened", rejected: dict[str, str]) -> dict[str, Any]:
        """The inputs of all images; those that the processor refuses leave `opened`."""
        if not opened:
            return {}
        try:
            return self._encode([image for image, _ in opened.values()])
        except Exception:  # processors raise anything on an image they cannot fit
            refused = {name: why for name in opened if (why := self._refusal(opened[name][0]))}
            if not refused:
                raise
        rejected |= refused
        for name in refused:
            del opened[name]
        return self._encode_all(opened, rejected)

    def _refusal(self, image: Image.Image) -> str | None:
        try:
            self._encode([image])
        except Exception as error:
            said = str(error).split("\n")[0] or type(error).__name__
            return f"the model's preprocessing refuses an image of {image.size} pixels: {said}"
        return None

    def _encode(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        # Tokenizers refuse to be used by two threads at once, so each has a copy of its own.
        if not hasattr(self._own, "encoder"):
            self._own.encoder = copy.deepcopy(self.session.encoder)
        encoded: dict[str, Any] = self._own.encoder(images)
        return encoded


_Opened = dict[str, tuple[Image.Image, dict[str, Image.Image]]]


def preparers(device: str, n_images: int) -> int:
    """How many processes should prepare images ahead of the model; 0 means a thread.

    On the CPU the one core that `leaving_a_core` leaves, beside a GPU nearly all.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    if n_images <= FEW_IMAGES or cores == 1:
        return 0
    return 1 if device == "cpu" else min(cores - 1, MOST_PREPARERS)


def ahead(
    prepare: Callable[[Sequence[str]], Prepared],
    batches: Iterator[Sequence[str]],
    processes: int = 0,
    threads: int = 1,
) -> Generator[Prepared]:
    """Prepare batches in order, at most a few ahead of the one in use.

    Worker processes are forked, so nothing but sample ids and tensors crosses over; where that
    cannot be done (another platform, a process that may have no children), threads do the same.
    """
    forkable = sys.platform == "linux" and not multiprocessing.current_process().daemon
    if processes and forkable:
        return _in_processes(prepare, batches, processes)
    return _in_threads(prepare, batches, threads)


def _in_threads(
    prepare: Callable[[Sequence[str]], Prepared], batches: Iterator[Sequence[str]], workers: int
) -> Generator[Prepared]:
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


class _Batches(Dataset[Any]):
    """What a worker process does: prepare the batch of these samples.

    Tensors leave as arrays, which travel through the pipe instead of shared memory: containers
    often have little of that. An error is handed over as it is.
    """

    def __init__(self, prepare: Callable[[Sequence[str]], Prepared]) -> None:
        self.prepare = prepare

    def __getitem__(self, sample_ids: Any) -> Any:
        try:
            prepared = self.prepare(sample_ids)
            return replace(
                prepared, inputs=_arrays(prepared.inputs), donors=_arrays(prepared.donors)
            )
        except Exception as error:
            return error


def _in_processes(
    prepare: Callable[[Sequence[str]], Prepared], batches: Iterator[Sequence[str]], workers: int
) -> Generator[Prepared]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # their threads do not survive a fork
    loader: DataLoader[Any] = DataLoader(
        _Batches(prepare),
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        multiprocessing_context="fork",
        collate_fn=_as_it_is,
        prefetch_factor=AHEAD,
    )
    try:
        for found in loader:
            if isinstance(found, Exception):
                raise found
            yield replace(found, inputs=_tensors(found.inputs), donors=_tensors(found.donors))
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise LayerhouseError(
            "a process that prepares images was killed, mostly for want of memory; what was "
            "committed stays: run the command again, with --preparers 0 to do without it"
        ) from error


def _as_it_is(batch: Any) -> Any:
    return batch


def _arrays(value: Any) -> Any:
    return _mapped(value, lambda x: x.numpy() if isinstance(x, torch.Tensor) else x)


def _tensors(value: Any) -> Any:
    return _mapped(value, lambda x: torch.from_numpy(x) if isinstance(x, np.ndarray) else x)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` done to everything inside its mappings, lists and donor batches."""
    if isinstance(value, DonorBatch):
        return replace(value, inputs=_mapped(value.inputs, change))
    if isinstance(value, Mapping):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(item, change) for item in value)
    return change(value)


class BackgroundWriter:
    """Runs writes one after the other in a thread; a context manager.

    The first error stops further writes and is raised by the next `put` or `flush`, or at the end.
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

    def flush(self) -> None:
        """Wait until all that was put is written."""
        self._queue.join()
        self._raise()

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
            self._queue.task_done()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


@dataclass
class UnitBuffer:
    """Collects the readouts and answers of one unit's batches; `cells` says where readouts lie.

    `rejected` says of samples of the unit why they are not in it.
    """

    cells: Mapping[Cell, tuple[int, slice]]
    answers: list[dict[str, Any]] = field(default_factory=list)
    sample_ids: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
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
