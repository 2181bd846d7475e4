"""Steering: states moved along the directions of classes, and what that would take."""

from dataclasses import dataclass

from extract.patching import InterventionOutlook, InterventionSummary, carried_out, foreseen
from extract.steering.job import look_up_steer
from extract.steering.opening import opened
from extract.steering.request import SteerRequest
from warehouse.lake import Lake
from warehouse.progress import Progress, listening


@dataclass(frozen=True, kw_only=True)
class SteerSummary(InterventionSummary):
    """What steering did; `direction` is what the lake calls the source of directions."""

    direction: str


@dataclass(frozen=True, kw_only=True)
class SteerOutlook(InterventionOutlook):
    """What steering would do; `direction` is what the lake calls the source of directions."""

    direction: str


def steer(lake: Lake, request: SteerRequest, progress: Progress | None = None) -> SteerSummary:
    """Move states of `request.receiver` along directions and write into `lake` what it answers.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    with listening(progress):
        job = look_up_steer(lake, request)
    return SteerSummary(direction=job.direction, **carried_out(job, opened, progress))


def outlook(lake: Lake, request: SteerRequest) -> SteerOutlook:
    """What `steer` would do with this request. Raises as `steer` does; writes nothing."""
    job = look_up_steer(lake, request)
    return SteerOutlook(direction=job.direction, **foreseen(job, opened))
