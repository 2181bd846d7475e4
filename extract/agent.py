"""The agent: runs a model over a dataset and writes what it finds into the lake.

Work is cut into units of at most 256 samples; each becomes visible as a whole, in one commit that
notes what it covers. So an agent can die at any moment: the next one computes only what no commit
covers, and ends with the same lake.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Protocol

import torch

from extract.claims import Claims
from extract.coverage import Task, cells_of, covered, plan, unit_size
from extract.faults import exchanged_tokens
from extract.job import (
    METHODS,
    ExtractRequest,
    Job,
    device_name,
    fixed_batch_size,
    job_is_done,
    known_structure,
    look_up,
    refuse_other_identity,
    remembered_batch,
    wanted_by,
)
from extract.lens import Lens, lens_table, open_lens
from extract.opening import OpenedModel, fit_erasures, open_model, plan_exchanges, runner_of
from extract.pipeline import (
    BackgroundWriter,
    Prepared,
    Preparer,
    Stopwatch,
    UnitBuffer,
    ahead,
    leaving_a_core,
    preparers,
)
from extract.readouts import SLOTS
from extract.rows import activation_table, model_rows
from extract.runner import Runner, rows_of
from extract.selection import Wanted
from extract.session import Session
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake
from warehouse.runs import RunWriter

__all__ = ["METHODS", "ExtractRequest", "ExtractSummary", "extract"]

AUTO_BATCH = 16


class Report(Protocol):
    """What an agent calls as it goes: samples done, of how many, and a few words."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction did; `added` is False where everything was in the lake already.

    `n_samples` and `n_vectors` count what the request covers; `seconds` is time per kind of work,
    added up over threads and processes; `rejected` says of samples that could not be used why;
    `n_bytes` are those of the shards written; `notes` are worth showing.
    """

    run_id: str
    model_id: str
    dataset_id: str
    added: bool
    n_samples: int
    n_vectors: int
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    n_bytes: int = 0


def extract(lake: Lake, request: ExtractRequest, progress: Report | None = None) -> ExtractSummary:
    """Run `request.model` over `request.dataset`; write activations and answers into `lake`.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    job = look_up(lake, request)
    known, done = known_structure(job), job_is_done(job)
    refuse_other_identity(job)  # after the look at what is done, which others may have done
    if known is not None and done:
        _close(job)
        return _summary(job, wanted_by(job, *known), added=False)
    with Claims(lake, job.model_id, job.dataset_id) as claims, leaving_a_core(job.device):
        return Extraction(job, claims, progress).run()


def _close(job: Job) -> None:
    """Finish a run that was cut off between its last unit and its end."""
    writer = RunWriter(job.lake, job.spec)
    if writer.committed:
        writer.finish()


def _summary(
    job: Job,
    wanted: Wanted,
    *,
    added: bool,
    seconds: dict[str, float] | None = None,
    notes: Sequence[str] = (),
    n_bytes: int = 0,
) -> ExtractSummary:
    rejected = _rejected(job)
    n = len(job.order) - len(rejected)
    return ExtractSummary(
        run_id=job.spec.run_id,
        model_id=job.model_id,
        dataset_id=job.dataset_id,
        added=added,
        n_samples=n,
        n_vectors=n * sum(len(readouts) for _, readouts in wanted),
        seconds=seconds or {},
        notes=tuple(notes),
        rejected=rejected,
        n_bytes=n_bytes,
    )


def _rejected(job: Job) -> dict[str, str]:
    """The samples of the request that this run could not use, and why."""
    order = job.order
    return {
        order[place]: reason
        for commit in job.commits()
        if commit.run_id == job.spec.run_id and "rejected" in commit.covers
        for place, reason in zip(commit.covers["rejected"], commit.covers["reasons"], strict=True)
    }


class Extraction:
    """One run of an agent, from loading the model to the finished run."""

    def __init__(self, job: Job, claims: Claims, progress: Report | None) -> None:
        self.job = job
        self.claims = claims
        self.progress = progress
        self.watch = Stopwatch()
        self.notes: list[str] = []
        self.uris = dict(job.info.samples.select("sample_id", "uri").iter_rows())
        self.batch_size = fixed_batch_size(job.request) or remembered_batch(job) or AUTO_BATCH
        self.fitted: int | None = None
        self.done = 0
        self.n_bytes = 0
        self.started = perf_counter()
        self.lens: Lens | None = None

    def run(self) -> ExtractSummary:
        job = self.job
        with self.watch.timing("load"):
            opened = self.open()
        session = opened.session
        wanted = wanted_by(job, session.anatomy, session.readouts)
        tasks = self._lacking(wanted, 0, len(job.order))
        if not tasks:
            refuse_other_identity(job)
            _close(job)
            return _summary(job, wanted, added=False, notes=self.notes)
        with (
            RunWriter(job.lake, job.spec) as writer,
            self.runner(opened) as runner,
            BackgroundWriter() as background,
        ):
            self._describe(writer, session)
            mine = self._share(tasks, wanted, writer)
            self._work(runner, mine, sum(task.n for task in tasks), writer, background)
        self._check_complete(wanted)
        writer.finish({"seconds": self.watch.lap()})
        return _summary(
            job,
            wanted,
            added=True,
            seconds=dict(self.watch.seconds),
            notes=self.notes,
            n_bytes=self.n_bytes,
        )

    def tasks(self, session: Session) -> list[Task]:
        """What no commit covers yet."""
        wanted = wanted_by(self.job, session.anatomy, session.readouts)
        return self._lacking(wanted, 0, len(self.job.order))

    def open(self) -> OpenedModel:
        """Load the model and check that it is read rightly, on images of the dataset."""
        opened = open_model(self.job, self.job.faults)
        if not opened.batching:
            self.batch_size = 1
        self.notes += opened.lines
        session, phrases = opened.session, opened.phrases
        exchanges = [exchanged_tokens(f, phrases) for f in self.job.faults if f.kind == "head"]
        self.lens, missing = open_lens(session, session.encode([opened.image]), phrases, exchanges)
        self.notes += [missing] if missing else []
        return opened

    def _lacking(self, wanted: Wanted, start: int, stop: int) -> list[Task]:
        """What no commit covers of samples start … stop-1 of the order."""
        job = self.job
        everything = plan(
            job.commits(),
            len(job.order),
            wanted,
            job.request.answers,
            unit_size(wanted, SLOTS),
            job.spec.run_id,
        )
        return [task for task in everything if start <= task.start and task.stop <= stop]

    def _share(self, tasks: Sequence[Task], wanted: Wanted, writer: RunWriter) -> Iterator[Task]:
        """The tasks that this agent is to do while others may be at the same work."""
        for task in self.claims.share(tasks, partial(self._lacking, wanted)):
            if writer.is_finished:
                writer.reopen()  # what it had committed was taken out of the lake since
            yield task

    def _describe(self, writer: RunWriter, session: Session) -> None:
        """The first commit of a run: the model, its loci, and how they can be read."""
        with self.claims.beginning():
            refuse_other_identity(self.job)
            if not any("anatomy" in commit.covers for commit in writer.committed):
                self._write_description(writer, session)

    def _write_description(self, writer: RunWriter, session: Session) -> None:
        rows = model_rows(self.job.model_id, self.job.variant, session.loaded, session.anatomy)
        covers = {"anatomy": asdict(session.anatomy), "readouts": dict(session.readouts)}
        writer.commit(rows, covers=covers)

    def runner(self, opened: OpenedModel) -> Runner:
        """What runs batches, and `preparer`, which prepares them."""
        job, session, most = self.job, opened.session, self.job.request.max_pixels
        exchanges = plan_exchanges(job.faults, job.info.samples)
        self.preparer = Preparer(session, self.uris, job.faults, exchanges, most)
        bases = fit_erasures(
            job.faults, session, job.info.samples, self.uris, self.batch_size, most
        )
        return runner_of(job, opened, job.faults, bases, self.watch)

    def _work(
        self,
        runner: Runner,
        tasks: Iterable[Task],
        total: int,
        writer: RunWriter,
        background: BackgroundWriter,
    ) -> None:
        asked, order = self.job.request.preparers, self.job.order
        processes = preparers(self.job.device, total) if asked is None else asked
        self.started = perf_counter()
        for task in tasks:
            runner.read(list(task.wanted))
            buffer = UnitBuffer(runner.cells)
            # Within one task: to ask for the next one may wait for an agent that waits for this.
            names = self._cut(order[task.start : task.stop])
            with closing(ahead(self.preparer, names, processes)) as coming:
                for prepared in self._timed(coming):
                    self._run_batch(runner, prepared, task, buffer)
                    self.done += prepared.n_asked
                    self._report(total)
            with self.watch.timing("wait"):
                background.put(self._writing(writer, task, buffer))

    def _report(self, total: int) -> None:
        if self.progress is not None:
            rate = self.done / max(perf_counter() - self.started, 1e-9)
            left = (total - self.done) / rate
            self.progress(
                self.done,
                total,
                f"{rate:.1f} images/s, {left:.0f} s left, {self.n_bytes / 1e9:.3f} GB written",
            )

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
        self, runner: Runner, prepared: Prepared, task: Task, buffer: UnitBuffer
    ) -> None:
        """Run a batch, in parts if the GPU's memory does not hold it or did not hold one before."""
        buffer.rejected |= prepared.rejected
        size = len(prepared.sample_ids)
        if not size:
            return
        if size <= self.batch_size:
            try:
                blocks, answers = runner.run(prepared, task.answers)
            except torch.OutOfMemoryError as error:
                self._back_off(size, error)
            else:
                rows = rows_of(self.job.model_id, self.job.dataset_id, prepared.sample_ids, answers)
                buffer.add(prepared.sample_ids, blocks, rows)
                return
        # Outside the handler: its error would keep the tensors of the failed batch alive.
        torch.cuda.empty_cache()
        for names in list(self._cut(prepared.sample_ids)):
            self._run_batch(runner, self.preparer(names), task, buffer)

    def _back_off(self, size: int, error: Exception) -> None:
        if size == 1 or self.job.request.batch_size != "auto":
            raise LayerhouseError(
                f"a batch of {size} images does not fit into the device's memory; "
                "try a smaller --batch-size or --dtype bfloat16"
            ) from error
        self.batch_size = max(size // 2, 1)
        self.fitted = self.batch_size
        self.notes.append(f"out of memory: batches of {self.batch_size} from here on")

    def _writing(self, writer: RunWriter, task: Task, buffer: UnitBuffer) -> Any:
        def write() -> None:
            with self.watch.timing("write"):
                tables = self._tables(buffer)
            notes: dict[str, Any] = {
                "seconds": self.watch.lap(),
                "n_images": len(buffer.sample_ids),
            }
            if self.fitted is not None:
                notes["fitted"] = {"device": device_name(self.job), "batch": self.fitted}
            with self.watch.timing("write"):
                commit = writer.commit(tables, covers=self._covers(task, buffer), notes=notes)
            self.n_bytes += sum(shard.bytes for shard in commit.shards)
            self.claims.release(task.start, task.stop)

        return write

    def _tables(self, buffer: UnitBuffer) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        if buffer.cells and buffer.sample_ids:
            tables["activation"] = activation_table(self.job.model_id, self.job.dataset_id, buffer)
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

    def _covers(self, task: Task, buffer: UnitBuffer) -> dict[str, Any]:
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

    def _check_complete(self, wanted: Wanted) -> None:
        """Rows must equal samples × loci × readouts, and answers samples × methods."""
        n, commits = len(self.job.order), self.job.commits()
        done = covered(commits, n, self.job.spec.run_id)
        for cell in cells_of(wanted, self.job.request.answers):
            if cell not in done or not done[cell][:n].all():
                raise LayerhouseError(f"{'.'.join(map(str, cell))} is incomplete after the run")
        expected, found = 0, 0
        for commit in commits:
            if "start" in commit.covers:
                read = sum(len(names) for _, _, names in commit.covers["cells"])
                span = commit.covers["stop"] - commit.covers["start"]
                span -= len(commit.covers.get("rejected", []))
                expected += span * (read + len(commit.covers["answers"]))
                found += sum(s.rows for s in commit.shards if s.table in ("activation", "answer"))
        if expected != found:
            raise LayerhouseError(
                f"{self.job.model_id} on {self.job.dataset_id} has {found} rows in its shards "
                f"where {expected} are due"
            )
