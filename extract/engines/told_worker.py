"""A worker that is told its ranges from elsewhere: it holds a model and commits what it finds."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from extract.running.agent import Description, Extraction
from extract.running.background import BackgroundWriter, leaving_a_core
from extract.running.batches import Runner
from extract.sharing.coverage import Range
from extract.sharing.job import Job
from warehouse.errors import LayerhouseError
from warehouse.lake.commits import commit_names


@dataclass(frozen=True)
class Step:
    """What a worker did since its last one: samples run, ranges committed, bytes written."""

    n: int
    committed: tuple[tuple[int, int], ...]
    n_bytes: int


@dataclass(frozen=True)
class Worked:
    """A worker's account at its end: `seconds` in all, and those that no commit has told yet."""

    seconds: dict[str, float]
    untold: dict[str, float]
    notes: tuple[str, ...]


class RemoteWorker:
    """One job's model in a process of its own, on whatever machine.

    `open` comes first, then `do` for every range, `flush` to have all of them committed, and `end`.
    A range's commit may follow while the next range runs. `commit_id` is one that the lake holds:
    a machine that does not see it does not see the lake.
    """

    def __init__(self, job: Job, threads: int, commit_id: str) -> None:
        self._job = job
        self._threads = threads
        self._commit_id = commit_id
        self._committed: list[tuple[int, int]] = []
        self._told_bytes = 0
        self._open = ExitStack()
        self._extraction: Extraction
        self._runner: Runner
        self._background: BackgroundWriter

    def open(self) -> Iterator[Description]:
        """Load the model; gives what it says of itself, once."""
        import torch

        job = self._job
        if self._commit_id not in commit_names(job.lake):
            raise LayerhouseError(
                f"the machine {platform.node()} does not see the lake {job.lake} as it is; "
                "put the lake where every machine of the cluster has it under that name"
            )
        if job.device == "cpu":
            torch.set_num_threads(self._threads)
        self._open.enter_context(leaving_a_core(job.device))
        self._extraction = Extraction(
            job, lambda start, stop: self._committed.append((start, stop))
        )
        with self._extraction.watch.timing("load"):
            opened = self._extraction.open()
        self._runner = self._open.enter_context(self._extraction.runner(opened))
        self._background = self._open.enter_context(BackgroundWriter())
        yield self._extraction.description(opened.session)

    def do(self, task: Range, total: int) -> Iterator[Step]:
        """Run a range, one of `total` samples in all; gives a step after every batch."""
        writer = self._job.writer()
        work = self._extraction.work(self._runner, [task], total, writer, self._background)
        for n in work:
            yield self._step(n)

    def flush(self) -> Iterator[Step]:
        """Wait for the commits of all ranges; gives one step."""
        with self._extraction.watch.timing("wait"):
            self._background.flush()
        yield self._step(0)

    def end(self) -> Worked:
        self._open.close()
        watch = self._extraction.watch
        return Worked(dict(watch.seconds), watch.lap(), tuple(self._extraction.notes))

    def _step(self, n: int) -> Step:
        committed, self._committed = self._committed, []
        n_bytes = self._extraction.n_bytes - self._told_bytes
        self._told_bytes += n_bytes
        return Step(n, tuple(committed), n_bytes)
