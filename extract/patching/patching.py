"""Patching at work: a job's samples through its models, range by range, into the lake.

Ranges, claims and commits are those of extraction: who patches can die at any moment, and any
number of agents that were given the same command share the work.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any

import pyarrow as pa
import torch

from extract.patching.job import COMMAND, PatchJob, described, look_up_patch
from extract.patching.opening import Opened, opened
from extract.patching.patcher import Wanted
from extract.patching.request import PatchRequest
from extract.patching.rows import effect_table
from extract.running import Prepared, in_threads, leaving_a_core, model_rows
from extract.sharing import Claims, Range
from warehouse.lake import Commit, Lake, OvertakenError, RunWriter
from warehouse.progress import Progress, listening


@dataclass(frozen=True)
class PatchSummary:
    """What patching did; `added` is False where everything was in the lake already.

    `n_places` are loci times what is put there, `n_passes` runs of single samples through a model,
    of what was done now; `rejected` says of samples that could not be used why.
    """

    run_id: str
    model_id: str
    donor_id: str
    dataset_id: str
    added: bool
    n_samples: int
    n_places: int
    n_passes: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PatchOutlook:
    """What patching would do: `loci` with what is put there, by module, and how many passes of
    single samples that takes, and seconds, measured on `n_measured` images.
    """

    model_id: str
    donor_id: str
    dataset_id: str
    device: str
    dtype: str
    loci: dict[str, list[str]]
    n_samples: int
    n_passes: int
    seconds: float
    n_measured: int
    notes: tuple[str, ...]


def patch(lake: Lake, request: PatchRequest, progress: Progress | None = None) -> PatchSummary:
    """Put donors' states into `request.receiver` and write what it answers then into `lake`.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    with listening(progress):
        job = look_up_patch(lake, request)
    known = job.known_wanted()
    if known is not None and not job.lacking(known):
        _close(job)
        return _summary(job, known)
    claims = Claims(lake, job.receiver.model_id, job.dataset_id, COMMAND)
    with claims, leaving_a_core(job.receiver.device), opened(job) as ready:
        return _Patching(job, ready, claims, progress).run()


def outlook(lake: Lake, request: PatchRequest) -> PatchOutlook:
    """What `patch` would do with this request. Raises as `patch` does; writes nothing."""
    job = look_up_patch(lake, request)
    with leaving_a_core(job.receiver.device), opened(job) as ready:
        ranges = job.lacking(ready.wanted)
        n_measured, seconds, n_passes = 0, 0.0, 0
        if ranges:
            names = next(ready.batch_size.cut(job.names(ranges[0])))
            prepared, given = ready.prepare(names)
            first = [(locus, put[:1]) for locus, put in ready.wanted[:1]]
            for _ in range(2):  # the first one warms up
                before, started = ready.patcher.passes, perf_counter()
                list(ready.patcher.effects(prepared, given, first))
                seconds = (perf_counter() - started) / max(ready.patcher.passes - before, 1)
            n_measured = len(prepared.sample_ids)
            n_passes = sum(len(job.names(one)) * _passes(ready, one.wanted) for one in ranges)
            seconds *= n_passes
        loci: dict[str, list[str]] = {}
        for locus, put in ready.wanted:
            loci.setdefault(locus.module, []).append(f"{locus.layer} ({', '.join(put)})")
        return PatchOutlook(
            model_id=job.receiver.model_id,
            donor_id=job.donor_id,
            dataset_id=job.dataset_id,
            device=job.receiver.device,
            dtype=job.receiver.dtype,
            loci=loci,
            n_samples=sum(len(job.names(one)) for one in ranges),
            n_passes=n_passes,
            seconds=seconds,
            n_measured=n_measured,
            notes=_notes(job, ready),
        )


def _passes(ready: Opened, wanted: Wanted) -> int:
    """How often a sample goes through a model for what is wanted: once for its own answer, once for
    each donor, once for every patch."""
    controls = {one.partition("/")[2] for _, put in wanted for one in put}
    given = [one for one in ready.patcher.donations if controls & set(one.controls)]
    return 1 + len(given) + sum(len(put) for _, put in wanted)


def _notes(job: PatchJob, ready: Opened | None = None) -> tuple[str, ...]:
    said = () if ready is None else (*ready.notes, *ready.batch_size.notes)
    more = () if job.donor is None else job.donor.notes
    return tuple(dict.fromkeys((*job.receiver.notes, *more, *said)))


def _close(job: PatchJob) -> None:
    """Finish a run that was cut off between its last range and its end."""
    writer = RunWriter(job.lake, job.spec, job.receiver.looked)
    if writer.committed:
        writer.finish()


def _summary(
    job: PatchJob, wanted: Wanted, ready: Opened | None = None, **did: Any
) -> PatchSummary:
    rejected = job.rejected()
    return PatchSummary(
        *(job.spec.run_id, job.receiver.model_id, job.donor_id, job.dataset_id),
        added=bool(did),
        n_samples=len(job.sample_ids) - len(rejected),
        n_places=sum(len(put) for _, put in wanted),
        notes=_notes(job, ready),
        rejected=rejected,
        **did,
    )


class _Patching:
    """A job at work with its opened models."""

    def __init__(
        self, job: PatchJob, ready: Opened, claims: Claims, progress: Progress | None
    ) -> None:
        self.job, self.ready, self.claims = job, ready, claims
        self.progress = progress
        self.writer = RunWriter(job.lake, job.spec, job.receiver.looked)
        self._overtaken = False
        self._done = self._total = 0

    def run(self) -> PatchSummary:
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
        did = {"n_passes": self.ready.patcher.passes, "seconds": perf_counter() - started}
        return _summary(job, wanted, self.ready, **did)

    def _describe(self) -> None:
        """What the models are, and what is due, in a run's first commit."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for job, model in self.ready.models:
            session = model.session
            found = model_rows(job.model_id, job.variant, session.loaded, session.anatomy)
            for table, some in found.items():
                rows.setdefault(table, []).extend(some)
        with self.claims.beginning():
            self._reopen()
            self.writer.commit(rows, covers=described(self.ready.wanted, self.job.donor_id))

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
        with closing(in_threads(self.ready.prepare, batches)) as coming:
            for prepared, given in coming:
                rejected |= prepared.rejected
                tables += list(self._tables(prepared, given, one.wanted))
                self._done = min(self._done + prepared.n_asked, self._total)
                if self.progress is not None:
                    self.progress(self._done, self._total, "")
        self._commit(one, tables, rejected, perf_counter() - started)
        self.claims.release(one.start, one.stop)

    def _tables(self, prepared: Prepared, given: Prepared, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows of a batch, run in parts if the device's memory does not hold it."""
        ready, size = self.ready, len(prepared.sample_ids)
        if not size:
            return
        if size <= ready.batch_size.now:
            try:
                effects = ready.patcher.effects(prepared, given, wanted)
                table = effect_table(self.job, effects, ready.ends)
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
        job, order = self.job, self.job.receiver.order
        covers = one.covers() | {"donor": job.donor_id}
        if rejected:
            places = [place for place in range(one.start, one.stop) if order[place] in rejected]
            reasons = [rejected[order[place]] for place in places]
            covers |= {"rejected": places, "reasons": reasons}
        rows = {"patch_effect": pa.concat_tables(tables)} if tables else {}
        notes = {"seconds": {"patch": round(seconds, 3)}, "n_images": len(job.names(one))}

        def clashes(commit: Commit) -> bool:
            return job.is_mine(commit) and one.overlaps(job.spec.run_id, commit)

        try:
            self.writer.commit(rows, covers=covers, notes=notes, clashes=clashes)
        except OvertakenError:
            self._overtaken = True
