"""Files drawn on all cores. Drawing is Python's own work, for which threads would wait in turn."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

from warehouse.keyboard import deaf_to_the_keyboard

Work = Callable[[], object]
"""Leaves a file."""

FEW = 8
"""Fewer files, half a second, are not worth a process."""


def do_all(works: Sequence[Work]) -> None:
    """Do every piece of work, where there are many a part of them in processes of their own.

    The first is done before these are forked, so that all have what it loads. A process that fails,
    is killed or cannot be had says nothing: its part is done here, and raises its error here.
    """
    _do(works[:1])
    n_parts = _processes(len(works))
    own, *others = [works[1 + first :: n_parts] for first in range(n_parts)]
    with _collecting_new_only(), _forked(others) as processes:
        _do(own)
        for part, process in zip(others, processes, strict=True):
            if not _has_done(process):
                _do(part)


def _processes(n_works: int) -> int:
    """How many share the work. Only Linux forks safely, and a daemon may not."""
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), n_works // FEW))


@contextmanager
def _forked(parts: Sequence[Sequence[Work]]) -> Iterator[list[BaseProcess]]:
    """A process for each part, forked as nothing of a drawing can be sent; none outlives this."""
    processes: list[BaseProcess] = []
    try:
        for part in parts:
            processes.append(
                multiprocessing.get_context("fork").Process(target=_alone, args=(part,))
            )
            with suppress(OSError), deaf_to_the_keyboard():
                processes[-1].start()
        yield processes
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def _has_done(process: BaseProcess) -> bool:
    """Once it has ended; of one that never began there is nothing to wait for."""
    if process.pid is not None:
        process.join()
    return process.exitcode == 0


def _alone(works: Sequence[Work]) -> None:
    """What a process of its own does until the one that it comes from stops it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _do(works)
    except Exception:
        sys.exit(1)


def _do(works: Sequence[Work]) -> None:
    for work in works:
        work()


@contextmanager
def _collecting_new_only() -> Iterator[None]:
    """A figure is thousands of objects that go together, so Python's collector comes often; what
    was there before is left alone meanwhile, a tenth of the time that drawing takes."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
