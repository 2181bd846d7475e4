"""Interventions at work: a job's samples through its models, range by range, into the lake.

Ranges, claims and commits are those of extraction: who works can die at any moment, and any number
of agents that were given the same command share the work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any, Protocol

import pyarrow as pa
import torch

from extract.patching.intervention import Intervention, Wanted
from extract.running import BatchSize, OpenedModel, Prepared, in_a_thread, model_rows
from extract.sharing import Claims, Job, Range
from warehouse.lake import Commit, OvertakenError, RunWriter
from warehouse.progress import Progress


class Ready(Protocol):
    """A job's models, opened: `prepare` makes batches of samples, for the receiver and for whoever
    gives it states; `table` runs one and returns its rows. `models` are the loaded ones with their
    jobs, `passes` counts how often single samples ran through one, `passes_of` how often one does
    for what is wanted; `covers` is what more the first commit of a run says, `notes` are worth
    showing.
    """

    @property
    def prepare(self) -> Callable[[Sequence[str]], tuple[Prepared, Prepared]]: ...
    @property
    def wanted(self) -> Wanted: ...
    @property
    def batch_size(self) -> BatchSize: ...
    @property
    def models(self) -> Sequence[tuple[Job, OpenedModel]]: ...
    @property
    def passes(self) -> int: ...
    @property
    def covers(self) -> Mapping[str, Any]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def passes_of(self, wanted: Wanted) -> int: ...
    def table(self, prepared: Prepared, given: Prepared, wanted: Wanted) -> pa.Table: ...


def close(job: Intervention) -> None:
    """Finish a run that was cut off between its last range and its end."""
    writer = RunWriter(job.lake, job.spec, job.receiver.looked)
    if writer.committed:
        writer.finish()


class AtWork:
    """A job at work with its opened models."""

    def __init__(
        self, job: Intervention, ready: Ready, claims: Claims, progress: Progress | None
    ) -> None:
        self.job, self.ready, self.claims = job, ready, claims
        self.progress = progress
        self.writer = RunWriter(job.lake, job.spec, job.receiver.looked)
        self._overtaken = False
        self._done = self._total = 0

    def run(self) -> dict[str, Any]:
        """Do what is left; returns `n_passes` and `seconds` of what was done."""
        job, wanted, started = self.job, self.ready.wanted, perf_counter()
        due = job.lacking(wanted)
        self._describe()
        self._total = sum(len(job.names(one)) for one in due)
        while due:
            self._overtaken = False
            rounds = self.claims.rounds(due, partial(job.lacking, wanted))
            for one in chain.from_iterable(rounds):
                self._do(one)
            # What another machine did some of was dropped whole; the rest of it is still due.
            due = job.lacking(wanted) if self._overtaken else []
        self.writer.require_ground()
        self.writer.finish()
        return {"n_passes": self.ready.passes, "seconds": perf_counter() - started}

    def _describe(self) -> None:
        """What the models are, and what is due, in a run's first commit."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for job, model in self.ready.models:
            session = model.session
            found = model_rows(job.model_id, job.variant, session.loaded, session.anatomy)
            for table, some in found.items():
                rows.setdefault(table, []).extend(some)
        covers = {**self.job.described(self.ready.wanted), **self.ready.covers}
        with self.claims.beginning():
            self._reopen()
            self.writer.commit(rows, covers=covers)

    def _reopen(self) -> None:
        """Open a run again that was finished and lost commits since."""
        if self.writer.is_finished:
            self.writer.reopen()

    def _do(self, one: Range) -> None:
        """One range, put into the lake when it is whole."""
        self._reopen()
        started, tables = perf_counter(), []
        rejected: dict[str, str] = {}
        batches = self.ready.batch_size.cut(self.job.names(one))
        with closing(in_a_thread(self.ready.prepare, batches)) as coming:
            for prepared, given in coming:
                rejected |= prepared.rejected
                tables += list(self._tables(prepared, given, one.wanted))
                self._done = min(self._done + prepared.n_asked, self._total)
                if self.progress is not None:
                    self.progress(self._done, self._total, "answers")
        self._commit(one, tables, rejected, perf_counter() - started)
        self.claims.release(one.start, one.stop)

    def _tables(self, prepared: Prepared, given: Prepared, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows of a batch, run in parts if the device's memory does not hold it."""
        ready, size = self.ready, len(prepared.sample_ids)
        if not size:
            return
        if size <= ready.batch_size.now:
            try:
                table = ready.table(prepared, given, wanted)
            except torch.OutOfMemoryError as error:
                ready.batch_size.halve(size, error)
            else:
                yield table
                return
        # Outside the handler: its error would keep the tensors of the failed batch alive.
        torch.cuda.empty_cache()
        for names in list(ready.batch_size.cut(prepared.sample_ids)):
            yield from self._tables(*ready.prepare(names), wanted)

    def _commit(
        self, one: Range, tables: list[pa.Table], rejected: dict[str, str], seconds: float
    ) -> None:
        job = self.job
        covers = one.covers(job.receiver.order, rejected) | dict(job.mark)
        rows = {job.table: pa.concat_tables(tables)} if tables else {}
        notes = {"seconds": {job.command: round(seconds, 3)}, "n_images": len(job.names(one))}

        def clashes(commit: Commit) -> bool:
            return job.is_mine(commit) and one.overlaps(job.spec.run_id, commit)

        try:
            self.writer.commit(rows, covers=covers, notes=notes, clashes=clashes)
        except OvertakenError:
            self._overtaken = True
