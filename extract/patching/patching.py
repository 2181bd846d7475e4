"""Patching: donors' states put into a model, and what that would take."""

from dataclasses import dataclass

from extract.patching.account import (
    InterventionOutlook,
    InterventionSummary,
    carried_out,
    foreseen,
)
from extract.patching.job import look_up_patch
from extract.patching.opening import opened
from extract.patching.request import PatchRequest
from warehouse.lake import Lake
from warehouse.progress import Progress, listening


@dataclass(frozen=True, kw_only=True)
class PatchSummary(InterventionSummary):
    """What patching did, with the states of the model `donor_id`."""

    donor_id: str


@dataclass(frozen=True, kw_only=True)
class PatchOutlook(InterventionOutlook):
    """What patching with the states of the model `donor_id` would do."""

    donor_id: str


def patch(lake: Lake, request: PatchRequest, progress: Progress | None = None) -> PatchSummary:
    """Put donors' states into `request.receiver` and write what it answers then into `lake`.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    with listening(progress):
        job = look_up_patch(lake, request)
    return PatchSummary(donor_id=job.donor_id, **carried_out(job, opened, progress))


def outlook(lake: Lake, request: PatchRequest) -> PatchOutlook:
    """What `patch` would do with this request. Raises as `patch` does; writes nothing."""
    job = look_up_patch(lake, request)
    return PatchOutlook(donor_id=job.donor_id, **foreseen(job, opened))
