"""What runs beside the model: images prepared ahead of it, shards written behind it.

Worker processes (or a thread, where there is little to do) decode and preprocess the coming batches
while the model works on the current one, and writer threads turn finished ranges into shards; both
wait in short queues, so memory does not grow with the dataset.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Semaphore
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from extract.faults import DonorBatch
from extract.running.preparing import Prepared
from warehouse.errors import LayerhouseError
from warehouse.extensions import raised_by_package
from warehouse.keyboard import deaf_to_the_keyboard

AHEAD = 3
FEW_IMAGES = 512
"""Up to this many, starting worker processes costs more than they save."""
MOST_PREPARERS = 8
MOST_WRITERS = 3
"""Of a 7B model each writes some 200 images a second, and has a range of 300 MB in its hands."""

Write = Callable[[Callable[[], None]], None]
"""Writes something; calls what it is given before it makes that visible."""


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


def preparers(device: str, n_images: int) -> int:
    """How many processes should prepare images ahead of the model; 0 means a thread.

    On the CPU the one core that `leaving_a_core` leaves, beside a GPU nearly all.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    if n_images <= FEW_IMAGES or cores == 1:
        return 0
    return 1 if device == "cpu" else min(cores - 1, MOST_PREPARERS)


def writers(device: str) -> int:
    """How many threads should write ranges behind the model: on the CPU one, which shares the core
    that `leaving_a_core` leaves, beside a GPU up to half of the cores.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    return 1 if device == "cpu" else min(max(cores // 2, 1), MOST_WRITERS)


Item = TypeVar("Item")
"""What a batch is prepared from."""
Made = TypeVar("Made")
"""What is made of it."""


def ahead(
    prepare: Callable[[Item], Prepared],
    batches: Iterator[Item],
    processes: int = 0,
) -> Generator[Prepared]:
    """Prepare batches in order, at most a few ahead of the one in use.

    Worker processes are forked, so nothing but sample ids and tensors crosses over; without any,
    and where that cannot be done (another platform, a process that may have no children), a thread
    does the same.
    """
    forkable = sys.platform == "linux" and not multiprocessing.current_process().daemon
    if processes and forkable:
        return _in_processes(prepare, batches, processes)
    return in_a_thread(prepare, batches)


def in_a_thread(prepare: Callable[[Item], Made], batches: Iterator[Item]) -> Generator[Made]:
    """The same in a thread, of whatever is made of a batch."""
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(prepare, batch))
                if len(waiting) > AHEAD:
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

    def __init__(self, prepare: Callable[[Any], Prepared]) -> None:
        self.prepare = prepare

    def __getitem__(self, sample_ids: Any) -> Any:
        try:
            prepared = self.prepare(sample_ids)
            return _changed(prepared, _arrays)
        except Exception as error:
            return raised_by_package(error) or error  # no traceback goes through a pipe


def _in_processes(
    prepare: Callable[[Item], Prepared], batches: Iterator[Item], workers: int
) -> Generator[Prepared]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # their threads do not survive a fork
    loader: DataLoader[Any] = DataLoader(
        _Batches(prepare),
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        multiprocessing_context="fork",
        collate_fn=lambda batch: batch,
        prefetch_factor=AHEAD,
    )
    with deaf_to_the_keyboard():
        prepared = iter(loader)
    try:
        for found in prepared:
            if isinstance(found, Exception):
                raise found
            yield _changed(found, _tensors)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise LayerhouseError(
            "a process that prepares images was killed, mostly for want of memory; what was "
            "committed stays: run the command again, with --preparers 0 to do without it"
        ) from error


def _changed(prepared: Prepared, change: Callable[[Any], Any]) -> Prepared:
    return replace(
        prepared,
        inputs=change(prepared.inputs),
        donors=change(prepared.donors),
        others=change(prepared.others),
    )


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
    """Runs writes in threads behind the model, as many at once as there are; a context manager.

    What they prepare they prepare beside each other, and what they commit in the order in which
    they were put: a write calls what it is given once its shards lie ready, and goes on when those
    before it are done. `put` waits while every thread has a write, so that memory is bounded by
    these and the one that waits. The first error stops the writes behind it and is raised by the
    next `put` or `flush`, or at the end.
    """

    def __init__(self, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._free = Semaphore(threads)
        self._last: Future[None] | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "BackgroundWriter":
        return self

    def put(self, write: Write) -> None:
        self._free.acquire()
        self._raise()
        self._last = self._pool.submit(self._run, write, self._last)

    def flush(self) -> None:
        """Wait until all that was put is written."""
        if self._last is not None:
            wait([self._last])
        self._raise()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._raise()

    def _run(self, write: Write, before: Future[None] | None) -> None:
        """One write; when it ends, those before it have ended."""
        try:
            write(partial(_follow, before))
        except BaseException as error:
            if not isinstance(error, _StoppedError):
                self._error = self._error or error
            raise
        finally:
            if before is not None:
                wait([before])
            self._free.release()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class _StoppedError(Exception):
    """A write before this one failed."""


def _follow(before: Future[None] | None) -> None:
    if before is not None and before.exception() is not None:
        raise _StoppedError
