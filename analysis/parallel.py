"""Independent pieces of torch work on all cores, a few in memory at a time, results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(jobs: Iterable[Job], work: Callable[[Job], Result], workers: int) -> Iterator[Result]:
    """`work` of every job on `workers` threads; at most workers + 1 jobs are taken at a time.

    torch uses one thread per job meanwhile, see `one_torch_thread`.
    """
    waiting: deque[Future[Result]] = deque()
    with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch from splitting operations over threads.

    Probes are thin products and element-wise steps: waiting for other threads at the end of each
    costs more than they bring, many times more on a busy machine. Results also become independent
    of the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
