"""The agent: runs a model over a dataset and writes what it finds into the lake.

Work is cut into units of at most 256 samples; each becomes visible as a whole, in one commit that
notes what it covers. So an agent can die at any moment: the next one computes only what no commit
covers, and ends with the same lake.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any

import torch

from extract.faults.label_tokens import label_permutation
from extract.models.session import Session
from extract.reading.logit_lens import Lens, lens_table, open_lens
from extract.running.background import BackgroundWriter, ahead, leaving_a_core, preparers
from extract.running.batches import Outcome, Runner, rows_of
from extract.running.clock import Stopwatch
from extract.running.faulty import inputs_under, learn_faults, runner_of
from extract.running.opening import OpenedModel, open_model
from extract.running.preparing import Prepared, Preparer
from extract.running.rows import activation_table, model_rows
from extract.running.units import UnitBuffer
from extract.sharing.claims import Claims
from extract.sharing.coverage import Range
from extract.sharing.job import (
    ExtractRequest,
    Job,
    device_name,
    fixed_batch_size,
    is_other_identity,
    job_is_done,
    known_structure,
    look_up,
    refuse_other_identity,
    remembered_batch,
    wanted_by,
)
from extract.sharing.ledger import ExtractSummary, Ledger
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import OvertakenError, RunWriter
from warehouse.progress import Progress

AUTO_BATCH = 16


def extract(
    lake: Lake, request: ExtractRequest, progress: Progress | None = None
) -> ExtractSummary:
    """Run `request.model` over `request.dataset`; write activations and answers into `lake`.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    job = look_up(lake, request)
    done = done_before(job)
    if done is not None:
        return done
    with Claims(lake, job.model_id, job.dataset_id) as claims, leaving_a_core(job.device):
        return Extraction(job, claims.release, progress).run(claims)


def done_before(job: Job) -> ExtractSummary | None:
    """The summary of a job that has nothing left to do, its run finished if it was not yet.

    Raises LayerhouseError where the lake holds the model under another configuration.
    """
    known, done = known_structure(job), job_is_done(job)
    refuse_other_identity(job)  # after the look at what is done, which others may have done
    if known is None or not done:
        return None
    ledger = Ledger(job)
    ledger.close()
    return ledger.summary(wanted_by(job, *known), added=False)


@dataclass(frozen=True)
class Description:
    """What a loaded model says of itself: rows by table, and its loci with their readouts."""

    rows: dict[str, list[dict[str, Any]]]
    covers: dict[str, Any]

    def write(self, job: Job, writer: RunWriter, claims: Claims) -> None:
        """Make it the first commit of a run, unless the run has one."""
        with claims.beginning():
            refuse_other_identity(job)
            if not any("anatomy" in commit.covers for commit in writer.committed):
                clashes = partial(is_other_identity, job)
                writer.commit(self.rows, covers=self.covers, clashes=clashes)


@dataclass
class _Unit:
    """A task under way: what came of it, and how many samples are in no batch that was begun."""

    task: Range
    buffer: UnitBuffer
    left: int

    @classmethod
    def of(cls, task: Range, runner: Runner) -> "_Unit":
        runner.watch(task.wanted)
        return cls(task, UnitBuffer(), task.n)


@dataclass(frozen=True)
class _Begun:
    """A batch on its way; without an outcome where all of its images were rejected."""

    unit: _Unit
    sample_ids: Sequence[str]
    outcome: Callable[[], Outcome] | None


class Extraction:
    """One run of an agent, from loading the model to the finished run.

    `release(start, stop)` is called when that range of samples is committed.
    """

    def __init__(
        self,
        job: Job,
        release: Callable[[int, int], None],
        progress: Progress | None = None,
    ) -> None:
        self.job = job
        self.ledger = Ledger(job)
        self.release = release
        self.progress = progress
        self.watch = Stopwatch()
        self.notes: list[str] = []
        self.uris = dict(job.info.samples.select("sample_id", "uri").iter_rows())
        self.batch_size = fixed_batch_size(job.request) or remembered_batch(job) or AUTO_BATCH
        self.fitted: int | None = None
        self.done = 0
        self.n_bytes = 0
        self.lens: Lens | None = None
        self.begun: deque[_Begun] = deque()
        self.overtaken = False

    def run(self, claims: Claims) -> ExtractSummary:
        job, ledger = self.job, self.ledger
        with self.watch.timing("load"):
            opened = self.open()
        wanted = wanted_by(job, opened.session.anatomy, opened.session.readouts)
        tasks = ledger.lacking(wanted)
        if not tasks:
            refuse_other_identity(job)
            ledger.close()
            return ledger.summary(wanted, added=False, notes=self.notes)
        total = sum(task.n for task in tasks)
        with job.writer() as writer, self.runner(opened) as runner:
            self.description(opened.session).write(job, writer, claims)
            started = perf_counter()
            while tasks:
                rounds = claims.rounds(scattered(job, tasks), partial(ledger.lacking, wanted))
                with BackgroundWriter() as background:
                    mine = (reopening(writer, free) for free in rounds)
                    work = (self.work(runner, free, total, writer, background) for free in mine)
                    for n in chain.from_iterable(work):
                        self.done = min(self.done + n, total)
                        if self.progress is not None:
                            note = pace(self.done, total, perf_counter() - started, self.n_bytes)
                            self.progress(self.done, total, note)
                # What another machine did some of was dropped whole; the rest of it is still due.
                tasks = ledger.lacking(wanted) if self.overtaken else []
                self.overtaken = False
        ledger.check_complete(wanted)
        writer.finish({"seconds": self.watch.lap()})
        return ledger.summary(
            wanted,
            added=True,
            seconds=dict(self.watch.seconds),
            notes=self.notes,
            n_bytes=self.n_bytes,
        )

    def tasks(self, session: Session) -> list[Range]:
        """What no commit covers yet."""
        return self.ledger.lacking(wanted_by(self.job, session.anatomy, session.readouts))

    def open(self) -> OpenedModel:
        """Load the model and check that it is read rightly, on images of the dataset."""
        opened = open_model(self.job, self.job.faults)
        if not opened.batching:
            self.batch_size = 1
        self.notes += opened.lines
        session, phrases = opened.session, opened.phrases
        permuted = label_permutation(self.job.faults, phrases)
        self.lens, missing = open_lens(session, session.encode([opened.image]), phrases, permuted)
        self.notes += [missing] if missing else []
        return opened

    def description(self, session: Session) -> Description:
        rows = model_rows(self.job.model_id, self.job.variant, session.loaded, session.anatomy)
        covers = {"anatomy": asdict(session.anatomy), "readouts": dict(session.readouts)}
        return Description(rows, covers)

    def runner(self, opened: OpenedModel) -> Runner:
        """What runs batches, and `preparer`, which prepares them."""
        job, session, most = self.job, opened.session, self.job.request.max_pixels
        samples = job.info.samples
        self.preparer = Preparer(session, self.uris, inputs_under(job.faults, samples), most)
        learned = learn_faults(job.faults, session, samples, self.uris, self.batch_size, most)
        return runner_of(job, opened, job.faults, learned, self.watch)

    def work(
        self,
        runner: Runner,
        tasks: Iterable[Range],
        total: int,
        writer: RunWriter,
        background: BackgroundWriter,
    ) -> Iterator[int]:
        """Do the tasks; gives after every batch how many samples it took.

        `total` samples are to be expected in all. What a task found is written behind it, by
        `background`.
        """
        asked = self.job.request.preparers
        processes = preparers(self.job.device, total) if asked is None else asked
        put = partial(self._put, writer, background)
        unit: _Unit | None = None
        following: deque[Range] = deque()
        names = self._batches(tasks, following)
        with closing(ahead(self.preparer, names, processes)) as coming:
            for prepared in self._timed(coming):
                if unit is None or not unit.left:
                    unit = _Unit.of(following.popleft(), runner)
                self._run_batch(runner, prepared, unit, put)
                unit.left -= prepared.n_asked
                self._take(put, leaving=1)
                yield prepared.n_asked
        self._take(put)

    def _batches(self, tasks: Iterable[Range], following: deque[Range]) -> Iterator[Sequence[str]]:
        """The samples of one task after the other, in batches; each task joins `following`."""
        for task in tasks:
            following.append(task)
            yield from self._cut(self.job.order[task.start : task.stop])

    def _timed(self, coming: Iterator[Prepared]) -> Iterator[Prepared]:
        """The batches, with the time spent waiting for them and that spent preparing them."""
        while True:
            with self.watch.timing("wait"):
                prepared = next(coming, None)
            if prepared is None:
                return
            for work, spent in prepared.seconds.items():
                self.watch.add(work, spent)
            yield prepared

    def _cut(self, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """The samples in batches of what is the batch size by then."""
        start = 0
        while start < len(names):
            size = self.batch_size
            yield names[start : start + size]
            start += size

    def _run_batch(
        self, runner: Runner, prepared: Prepared, unit: _Unit, put: Callable[[_Unit], None]
    ) -> None:
        """Run a batch, in parts if the GPU's memory does not hold it or did not hold one before."""
        unit.buffer.rejected |= prepared.rejected
        size = len(prepared.sample_ids)
        if size <= self.batch_size:
            try:
                outcome = runner.run(prepared, unit.task.answers) if size else None
            except torch.OutOfMemoryError as error:
                self._back_off(size, error)
            else:
                self.begun.append(_Begun(unit, prepared.sample_ids, outcome))
                return
        # Outside the handler: its error would keep the tensors of the failed batch alive.
        self._take(put)
        torch.cuda.empty_cache()
        for names in list(self._cut(prepared.sample_ids)):
            self._run_batch(runner, self.preparer(names), unit, put)

    def _take(self, put: Callable[[_Unit], None], leaving: int = 0) -> None:
        """Wait for batches that were begun, but the newest `leaving`; put units that are whole."""
        while len(self.begun) > leaving:
            batch = self.begun.popleft()
            unit, names = batch.unit, batch.sample_ids
            if batch.outcome is not None:
                vectors, answers = batch.outcome()
                rows = rows_of(self.job.model_id, self.job.dataset_id, names, answers)
                unit.buffer.add(names, vectors, rows)
            if not unit.left and all(other.unit is not unit for other in self.begun):
                put(unit)

    def _back_off(self, size: int, error: Exception) -> None:
        if size == 1 or self.job.request.batch_size != "auto":
            raise LayerhouseError(
                f"a batch of {size} images does not fit into the device's memory; "
                "try a smaller --batch-size or --dtype bfloat16"
            ) from error
        self.batch_size = max(size // 2, 1)
        self.fitted = self.batch_size
        self.notes.append(f"out of memory: batches of {self.batch_size} from here on")

    def _put(self, writer: RunWriter, background: BackgroundWriter, unit: _Unit) -> None:
        """Have a whole unit written; waits where too many others wait for that."""
        with self.watch.timing("wait"):
            background.put(partial(self._write, writer, unit.task, unit.buffer))

    def _write(self, writer: RunWriter, task: Range, buffer: UnitBuffer) -> None:
        with self.watch.timing("write"):
            tables = self._tables(buffer)
        notes: dict[str, Any] = {"seconds": self.watch.lap(), "n_images": len(buffer.sample_ids)}
        if self.fitted is not None:
            notes["fitted"] = {"device": device_name(self.job), "batch": self.fitted}
        with self.watch.timing("write"):
            self._commit(writer, tables, task, self._covers(task, buffer), notes)
        self.release(task.start, task.stop)

    def _commit(
        self,
        writer: RunWriter,
        tables: dict[str, Any],
        task: Range,
        covers: dict[str, Any],
        notes: dict[str, Any],
    ) -> None:
        """Commit a unit; drop it where another machine did some of it, to look again at the end."""
        clashes = partial(task.overlaps, self.job.spec.run_id)
        try:
            commit = writer.commit(tables, covers=covers, notes=notes, clashes=clashes)
        except OvertakenError:
            self.overtaken = True
            return
        self.n_bytes += sum(shard.bytes for shard in commit.shards)

    def _tables(self, buffer: UnitBuffer) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        if vectors := buffer.vectors():
            tables["activation"] = activation_table(
                self.job.model_id, self.job.dataset_id, buffer.sample_ids, vectors
            )
            if self.lens is not None:
                tables["logit_lens"] = lens_table(self.lens, tables["activation"])
        if buffer.answers:
            tables["answer"] = buffer.answers
        if buffer.rejected:
            tables["rejected_sample"] = [
                {"dataset_id": self.job.dataset_id, "sample_id": name, "reason": reason}
                for name, reason in sorted(buffer.rejected.items())
            ]
        return tables

    def _covers(self, task: Range, buffer: UnitBuffer) -> dict[str, Any]:
        """What a unit's commit completes; rejected samples by their place in the order."""
        places = [
            place
            for place in range(task.start, task.stop)
            if self.job.order[place] in buffer.rejected
        ]
        if not places:
            return task.covers()
        reasons = [buffer.rejected[self.job.order[place]] for place in places]
        return task.covers() | {"rejected": places, "reasons": reasons}


def reopening(writer: RunWriter, tasks: Iterable[Range]) -> Iterator[Range]:
    """The tasks, the run reopened before each where it is finished: it lost commits since."""
    for task in tasks:
        if writer.is_finished:
            writer.reopen()
        yield task


def scattered(job: Job, tasks: Sequence[Range]) -> Sequence[Range]:
    """The tasks in an order to do them in.

    Claims are not seen on other machines, so where a lake is shared with such, in a bucket, every
    agent begins somewhere else.
    """
    if job.lake.store.locks_reach_everyone:
        return tasks
    first = random.SystemRandom().randrange(len(tasks))
    return [*tasks[first:], *tasks[:first]]


def pace(done: int, total: int, seconds: float, n_bytes: int) -> str:
    """A few words on how fast the work goes."""
    rate = done / max(seconds, 1e-9)
    left = (total - done) / max(rate, 1e-9)
    return f"{rate:.1f} images/s, {left:.0f} s left, {n_bytes / 1e9:.3f} GB written"
