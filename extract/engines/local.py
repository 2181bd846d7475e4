"""Several agents at once on one machine, each a process with the model on a device of its own.

A worker is an agent like any other: it claims ranges of samples and leaves alone what others hold.
So the parent only starts workers, starts one again that died, and reports; the lake is the same
whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from extract.running import added_up, extract
from extract.sharing import (
    ExtractRequest,
    ExtractSummary,
    begun,
    devices_of,
    end_with_parent,
    job_is_done,
    look_up,
)
from warehouse.errors import LayerhouseError, UsageError
from warehouse.extensions import raised_by_package
from warehouse.lake import Lake
from warehouse.progress import Progress, listening

MAX_DEATHS = 3
"""So many deaths of one worker in a row, without a batch done in between, end the extraction."""


def extract_with_workers(
    lake: Lake, request: ExtractRequest, workers: int, progress: Progress | None = None
) -> ExtractSummary:
    """As `extract`, by `workers` processes: one per GPU, or sharing the CPU.

    A worker that dies is started again, and the range it was at is done again. Raises what the
    first failing worker raised; the others end with it, and what was committed stays.
    """
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}")
    if workers == 1:
        return extract(lake, request, progress)
    with listening(progress):
        job = look_up(lake, request)
    if job_is_done(job):
        return extract(lake, request, progress)
    # Processes that each use every core only wait for one another.
    threads = max(1, (os.cpu_count() or 1) // workers)
    crew: list[_Worker] = []
    try:
        for name in devices_of(request.device, workers):
            crew.append(_Worker(lake, replace(request, device=name), threads))
        _watch(crew, progress)
    finally:
        for worker in crew:
            worker.stop()
    done = extract(lake, request)
    return _added_up(replace(done, notes=(*job.notes, *done.notes)), crew)


class _Worker:
    """One process, which runs from the start, and the pipe it tells its progress through.

    A pipe each, not one queue for all: a process killed while it writes to a shared queue would
    leave the queue locked.
    """

    def __init__(self, lake: Lake, request: ExtractRequest, threads: int) -> None:
        self.lake = lake
        self.request = request
        self.threads = threads
        self.deaths = 0
        self.done = 0
        self.done_before = 0
        self.total = 0
        self.phase = ""
        self.summary: ExtractSummary | None = None
        self.process, self.pipe = self._started()

    def _started(self) -> tuple[BaseProcess, Connection]:
        return begun(_work, self.lake, self.request, self.threads)

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def hear(self) -> None:
        """Take what the worker says; raise what it raised; start it again where it died."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            self._ended()
            return
        if kind == "progress":
            self.done, self.total = self.done_before + value[0], value[1]
            self.phase = value[2].partition(",")[0]
            self.deaths = 0 if value[0] else self.deaths  # one may die of loading
        elif kind == "done":
            self.summary = value
        else:
            raise value

    def _ended(self) -> None:
        self.process.join()
        if self.summary is not None:
            return
        self.deaths += 1
        if self.deaths >= MAX_DEATHS:
            raise LayerhouseError(
                f"a worker on {self.request.device} died {self.deaths} times in a row "
                f"(exit code {self.process.exitcode}); is there memory for that many --workers?"
            )
        self.done_before = self.done
        self.process, self.pipe = self._started()


def _watch(crew: Sequence[_Worker], progress: Progress | None) -> None:
    while busy := [worker for worker in crew if worker.summary is None]:
        ready = wait([worker.pipe for worker in busy])
        for worker in busy:
            if worker.pipe in ready:
                worker.hear()
        if progress is not None:
            done = sum(worker.done for worker in crew)
            first = max(crew, key=lambda worker: worker.done)
            progress(done, max([done, *(worker.total for worker in crew)]), first.phase)


def _work(pipe: Connection, lake: Lake, request: ExtractRequest, threads: int) -> None:
    """The life of a worker process."""
    import torch

    end_with_parent()
    if request.device == "cpu":
        torch.set_num_threads(threads)

    def report(done: int, total: int, note: str = "") -> None:
        pipe.send(("progress", (done, total, note)))

    try:
        pipe.send(("done", extract(lake, request, report)))
    except LayerhouseError as error:
        pipe.send(("failed", error))
    except Exception as error:
        told = f"a worker failed: {type(error).__name__}: {error}"
        pipe.send(("failed", raised_by_package(error) or LayerhouseError(told)))


def _added_up(summary: ExtractSummary, crew: Sequence[_Worker]) -> ExtractSummary:
    """The whole's summary with the work of all workers in it."""
    parts = [worker.summary for worker in crew if worker.summary is not None]
    notes = dict.fromkeys(note for part in (summary, *parts) for note in part.notes)
    seconds = added_up(part.seconds for part in parts)
    n_bytes = sum(part.n_bytes for part in parts)
    return replace(summary, added=True, seconds=seconds, notes=tuple(notes), n_bytes=n_bytes)
