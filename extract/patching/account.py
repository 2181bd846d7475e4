"""What an intervention did, and what it would take."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from extract.patching.intervention import Intervention, Wanted
from extract.patching.work import AtWork, Ready, close
from extract.running import leaving_a_core
from extract.sharing import Claims
from warehouse.progress import Progress

OneJob = TypeVar("OneJob", bound=Intervention)
Opened = Callable[[OneJob], AbstractContextManager[Ready]]


@dataclass(frozen=True, kw_only=True)
class InterventionSummary:
    """What was done; `added` is False where everything was in the lake already.

    `n_places` are loci times what is done there, `n_passes` runs of single samples through a model,
    of what was done now; `rejected` says of samples that could not be used why.
    """

    run_id: str
    model_id: str
    dataset_id: str
    added: bool
    n_samples: int
    n_places: int
    n_passes: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InterventionOutlook:
    """What would be done: `loci` with what is done there, by module, and how many passes of single
    samples that takes, and seconds, measured on `n_measured` images.
    """

    model_id: str
    dataset_id: str
    device: str
    dtype: str
    loci: dict[str, list[str]]
    n_samples: int
    n_passes: int
    seconds: float
    n_measured: int
    notes: tuple[str, ...]


def carried_out(job: OneJob, opened: Opened[OneJob], progress: Progress | None) -> dict[str, Any]:
    """Do what no earlier run did of a job; returns the fields of its summary."""
    known = job.known_wanted()
    if known is not None and not job.lacking(known):
        close(job)
        return _summary(job, known)
    claims = Claims(job.lake, job.receiver.model_id, job.dataset_id, job.command)
    with claims, leaving_a_core(job.receiver.device), opened(job) as ready:
        did = AtWork(job, ready, claims, progress).run()
        return _summary(job, ready.wanted, ready, **did)


def foreseen(job: OneJob, opened: Opened[OneJob]) -> dict[str, Any]:
    """What carrying out a job would take; returns the fields of its outlook."""
    with leaving_a_core(job.receiver.device), opened(job) as ready:
        ranges = job.lacking(ready.wanted)
        n_measured, seconds, n_passes = 0, 0.0, 0
        if ranges:
            names = next(ready.batch_size.cut(job.names(ranges[0])))
            prepared, given = ready.prepare(names)
            first = [(locus, put[:1]) for locus, put in ready.wanted[:1]]
            for _ in range(2):  # the first one warms up
                before, started = ready.passes, perf_counter()
                ready.table(prepared, given, first)
                seconds = (perf_counter() - started) / max(ready.passes - before, 1)
            n_measured = len(prepared.sample_ids)
            n_passes = sum(len(job.names(one)) * ready.passes_of(one.wanted) for one in ranges)
            seconds *= n_passes
        loci: dict[str, list[str]] = {}
        for locus, put in ready.wanted:
            loci.setdefault(locus.module, []).append(f"{locus.layer} ({', '.join(put)})")
        return {
            "model_id": job.receiver.model_id,
            "dataset_id": job.dataset_id,
            "device": job.receiver.device,
            "dtype": job.receiver.dtype,
            "loci": loci,
            "n_samples": sum(len(job.names(one)) for one in ranges),
            "n_passes": n_passes,
            "seconds": seconds,
            "n_measured": n_measured,
            "notes": _notes(job, ready),
        }


def _notes(job: Intervention, ready: Ready | None) -> tuple[str, ...]:
    said = () if ready is None else (*ready.notes, *ready.batch_size.notes)
    return tuple(dict.fromkeys((*job.notes, *said)))


def _summary(
    job: Intervention, wanted: Wanted, ready: Ready | None = None, **did: Any
) -> dict[str, Any]:
    rejected = job.rejected()
    return {
        "run_id": job.spec.run_id,
        "model_id": job.receiver.model_id,
        "dataset_id": job.dataset_id,
        "added": bool(did),
        "n_samples": len(job.sample_ids) - len(rejected),
        "n_places": sum(len(put) for _, put in wanted),
        "notes": _notes(job, ready),
        "rejected": rejected,
        **did,
    }
