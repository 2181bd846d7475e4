"""Steering: states moved along the directions of classes, and what that would take."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from extract.patching import AtWork, Wanted, close
from extract.running import leaving_a_core
from extract.sharing import Claims
from extract.steering.job import COMMAND, SteerJob, look_up_steer
from extract.steering.opening import OpenedSteering, opened
from extract.steering.request import SteerRequest
from warehouse.lake import Lake
from warehouse.progress import Progress, listening


@dataclass(frozen=True)
class SteerSummary:
    """What steering did; `added` is False where everything was in the lake already.

    `direction` is what the lake calls the source of directions, `n_places` are loci times tokens
    and strengths, `n_passes` runs of single samples through the model, of what was done now;
    `rejected` says of samples that could not be used why.
    """

    run_id: str
    model_id: str
    dataset_id: str
    direction: str
    added: bool
    n_samples: int
    n_places: int
    n_passes: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SteerOutlook:
    """What steering would do: `loci` with tokens and strengths, by module, and how many passes of
    single samples that takes, and seconds, measured on `n_measured` images.
    """

    model_id: str
    dataset_id: str
    direction: str
    device: str
    dtype: str
    loci: dict[str, list[str]]
    n_samples: int
    n_passes: int
    seconds: float
    n_measured: int
    notes: tuple[str, ...]


def steer(lake: Lake, request: SteerRequest, progress: Progress | None = None) -> SteerSummary:
    """Move states of `request.receiver` along directions and write into `lake` what it answers.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    with listening(progress):
        job = look_up_steer(lake, request)
    known = job.known_wanted()
    if known is not None and not job.lacking(known):
        close(job)
        return _summary(job, known)
    claims = Claims(lake, job.receiver.model_id, job.dataset_id, COMMAND)
    with claims, leaving_a_core(job.receiver.device), opened(job) as ready:
        did = AtWork(job, ready, claims, progress).run()
        return _summary(job, ready.wanted, ready, **did)


def outlook(lake: Lake, request: SteerRequest) -> SteerOutlook:
    """What `steer` would do with this request. Raises as `steer` does; writes nothing."""
    job = look_up_steer(lake, request)
    with leaving_a_core(job.receiver.device), opened(job) as ready:
        ranges = job.lacking(ready.wanted)
        n_measured, seconds, n_passes = 0, 0.0, 0
        if ranges:
            names = next(ready.batch_size.cut(job.names(ranges[0])))
            prepared, _ = ready.prepare(names)
            locus, put = ready.wanted[0]
            for _ in range(2):  # the first one warms up
                before, started = ready.passes, perf_counter()
                list(ready.steerer.effects(prepared, [(locus, put[:1])]))
                seconds = (perf_counter() - started) / max(ready.passes - before, 1)
            n_measured = len(prepared.sample_ids)
            n_passes = sum(len(job.names(one)) * _passes(ready, one.wanted) for one in ranges)
            seconds *= n_passes
        loci: dict[str, list[str]] = {}
        for locus, put in ready.wanted:
            loci.setdefault(locus.module, []).append(f"{locus.layer} ({', '.join(put)})")
        return SteerOutlook(
            *(job.receiver.model_id, job.dataset_id, job.direction),
            *(job.receiver.device, job.receiver.dtype, loci),
            n_samples=sum(len(job.names(one)) for one in ranges),
            n_passes=n_passes,
            seconds=seconds,
            n_measured=n_measured,
            notes=_notes(job, ready),
        )


def _passes(ready: OpenedSteering, wanted: Wanted) -> int:
    """How often a sample goes through the model: once as it is, once for every direction."""
    return 1 + ready.steerer.directions.n * sum(len(put) for _, put in wanted)


def _notes(job: SteerJob, ready: OpenedSteering | None = None) -> tuple[str, ...]:
    said = () if ready is None else (*ready.notes, *ready.batch_size.notes)
    return tuple(dict.fromkeys((*job.receiver.notes, *said)))


def _summary(
    job: SteerJob, wanted: Wanted, ready: OpenedSteering | None = None, **did: Any
) -> SteerSummary:
    rejected = job.rejected()
    return SteerSummary(
        *(job.spec.run_id, job.receiver.model_id, job.dataset_id, job.direction),
        added=bool(did),
        n_samples=len(job.sample_ids) - len(rejected),
        n_places=sum(len(put) for _, put in wanted),
        notes=_notes(job, ready),
        rejected=rejected,
        **did,
    )
