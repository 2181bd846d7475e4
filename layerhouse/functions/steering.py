"""`layerhouse.steer`: a class written into a model's states."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from layerhouse.functions.arguments import (
    Place,
    Several,
    known_options,
    lake_at,
    refuse_rejected,
    several,
)
from layerhouse.functions.names import refuse_unknown_here, refuse_unknown_to_run
from layerhouse.functions.running import RunOptions, of_the_model, requested
from layerhouse.parts import part
from warehouse.progress import Progress
from warehouse.vocabulary import CLASS_MEANS

if TYPE_CHECKING:
    from extract.steering import SteerOutlook, SteerRequest, SteerSummary


class SteerOptions(RunOptions, total=False):
    """What `layerhouse steer --help` explains; every one may be left out."""

    direction: str | PathLike[str]
    label: str | None
    strength: float | Sequence[float]
    tokens: Several
    limit: int | None


@overload
def steer(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: Literal[False] = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[SteerOptions],
) -> SteerSummary: ...


@overload
def steer(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: Literal[True],
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[SteerOptions],
) -> SteerOutlook: ...


@part("extract")
def steer(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[SteerOptions],
) -> SteerSummary | SteerOutlook:
    """Move a model's states along the direction of each class and write into the lake how far its
    answers by likelihood follow: the table steer_effect, the views steer_flow and class_ownership.

    Directions and their controls are learned of stored activations: `extract` comes first. Options
    that take several (`module`, `layer`, `tokens`, `strength`, `fault`, `prompt`, `trained_on`)
    take one or a list; `layerhouse steer --help` explains all. With `dry_run` nothing is written
    and what would be done is returned instead.

    Rejected images are a LayerhouseError at the end unless `skip_bad` is given; all others are in
    the lake by then.
    """
    chosen = known_options("steer", options, SteerOptions)
    from extract.steering import refuse_unknown_direction

    refuse_unknown_here(lake_at(lake))
    refuse_unknown_direction(str(chosen.get("direction") or CLASS_MEANS))
    refuse_unknown_to_run(lake_at(lake), str(model), str(dataset), chosen)
    from extract.steering import outlook, steer as run

    request = _request(str(model), str(dataset), chosen)
    if dry_run:
        return outlook(lake_at(lake), request)
    summary = run(lake_at(lake), request, progress)
    refuse_rejected(summary.rejected, chosen.get("skip_bad"))
    return summary


def _request(model: str, dataset: str, options: dict[str, Any]) -> SteerRequest:
    from extract.steering import SteerRequest

    asked: dict[str, Any] = {"label": options.get("label")}
    if options.get("direction"):
        asked["direction"] = str(options["direction"])
    if "tokens" in options:
        asked["tokens"] = several(options["tokens"])
    strength = options.get("strength", ())
    if isinstance(strength, int | float) or strength:
        asked["strengths"] = (strength,) if isinstance(strength, int | float) else tuple(strength)
    if options.get("limit") is not None:
        asked["limit"] = options["limit"]
    return SteerRequest(requested(model, dataset, of_the_model(options)), **asked)
