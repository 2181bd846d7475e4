"""A worker that is told its ranges from elsewhere: it holds a model and commits what it finds."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from extract.running import (
    BackgroundWriter,
    RangeWriter,
    Stopwatch,
    describe,
    leaving_a_core,
    open_model,
    put_behind,
    range_runner,
    writers,
)
from extract.sharing import Job, Range
from warehouse.errors import LayerhouseError
from warehouse.lake import list_commits


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


class ToldWorker:
    """One job's model in a process of its own, on whatever machine, loaded when this is made.

    `do` comes for every range, `flush` to have all of them committed, and `end`; a range's commit
    may follow while the next range runs. `description` is what the model says of itself.
    `commit_id` is one that the lake holds: a machine that does not see it does not see the lake.
    """

    def __init__(self, job: Job, threads: int, commit_id: str) -> None:
        import torch

        _refuse_without_lake(job, commit_id)
        if job.device == "cpu":
            torch.set_num_threads(threads)
        self._committed: list[tuple[int, int]] = []
        self._told_bytes = 0
        self._stopwatch = Stopwatch()
        with ExitStack() as held:
            held.enter_context(leaving_a_core(job.device))
            with self._stopwatch.timing("load"):
                opened = open_model(job)
            self.description = describe(job, opened.session)
            self._runner = held.enter_context(range_runner(job, opened, self._stopwatch))
            self._writer = RangeWriter(
                job,
                job.writer(),
                self._runner.lens,
                self._runner.batch_size,
                self._stopwatch,
                release=lambda start, stop: self._committed.append((start, stop)),
            )
            self._background = held.enter_context(BackgroundWriter(writers(job.device)))
            self._held = held.pop_all()

    def do(self, mine: Range, total: int) -> Iterator[Step]:
        """Run a range, one of `total` samples in all; gives a step after every batch."""
        put = partial(put_behind, self._background, self._writer)
        for n in self._runner.run([mine], total, put):
            yield self._step(n)

    def flush(self) -> Iterator[Step]:
        """Wait for the commits of all ranges; gives one step."""
        with self._stopwatch.timing("wait"):
            self._background.flush()
        yield self._step(0)

    def end(self) -> Worked:
        self._held.close()
        notes = (*self._runner.notes, *self._runner.batch_size.notes)
        return Worked(dict(self._stopwatch.seconds), self._stopwatch.lap(), notes)

    def _step(self, n: int) -> Step:
        committed, self._committed = self._committed, []
        n_bytes = self._writer.n_bytes - self._told_bytes
        self._told_bytes += n_bytes
        return Step(n, tuple(committed), n_bytes)


def _refuse_without_lake(job: Job, commit_id: str) -> None:
    if commit_id not in {commit.commit_id for commit in list_commits(job.lake)}:
        raise LayerhouseError(
            f"the machine {platform.node()} does not see the lake {job.lake} as it is; "
            "put the lake where every machine of the cluster has it under that name"
        )
