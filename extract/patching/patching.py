"""Patching: donors' states put into a model, and what that would take."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from extract.patching.intervention import Wanted
from extract.patching.job import COMMAND, PatchJob, look_up_patch
from extract.patching.opening import Opened, opened
from extract.patching.request import PatchRequest
from extract.patching.work import AtWork, close
from extract.running import leaving_a_core
from extract.sharing import Claims
from warehouse.lake import Lake
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
        close(job)
        return _summary(job, known)
    claims = Claims(lake, job.receiver.model_id, job.dataset_id, COMMAND)
    with claims, leaving_a_core(job.receiver.device), opened(job) as ready:
        did = AtWork(job, ready, claims, progress).run()
        return _summary(job, ready.wanted, ready, **did)


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
