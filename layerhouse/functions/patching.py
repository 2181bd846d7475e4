"""`layerhouse.patch`: the states of a donor in the place of a model's own."""

from __future__ import annotations

from collections.abc import Mapping
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
from layerhouse.functions.names import refuse_unknown_to_run
from layerhouse.functions.running import RunOptions, of_the_model, requested
from layerhouse.parts import part
from warehouse.errors import UsageError
from warehouse.progress import Progress

if TYPE_CHECKING:
    from extract.patching import PatchOutlook, PatchSummary
    from extract.sharing import ExtractRequest

OF_THE_RECEIVER = ("module", "layer")
"""Where states are put, which is said once; a donor gives its own of the same places."""
OF_A_VARIANT = ("adapter", "fault", "quantization")
"""What is said of the receiver and, with `from_` before it, of the donor."""


class PatchOptions(RunOptions, total=False):
    """What `layerhouse patch --help` explains; every one may be left out."""

    from_adapter: str | PathLike[str] | None
    from_fault: Several
    from_quantization: str | None
    tokens: Several
    controls: bool
    limit: int | None


@overload
def patch(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    donor: str | PathLike[str] | None = None,
    dry_run: Literal[False] = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[PatchOptions],
) -> PatchSummary: ...


@overload
def patch(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    donor: str | PathLike[str] | None = None,
    dry_run: Literal[True],
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[PatchOptions],
) -> PatchOutlook: ...


@part("extract")
def patch(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    donor: str | PathLike[str] | None = None,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[PatchOptions],
) -> PatchSummary | PatchOutlook:
    """Put a donor's states into a model and write what it answers then, by likelihood, into the
    lake: the table patch_effect, and the views causal_flow, restored_share and stage_restoration.

    Without a `donor` these are the states of other images, of another class, in the same model.
    `donor` names a better model or variant (`from_adapter`, `from_fault`, `from_quantization` say
    which): then they are its states of the same images. Options that take several words (`module`,
    `layer`, `tokens`, `fault`, `from_fault`, `prompt`, `trained_on`) take one or a list;
    `layerhouse patch --help` explains all. With `dry_run` nothing is written and what would be done
    is returned instead.

    Rejected images are a LayerhouseError at the end unless `skip_bad` is given; all others are in
    the lake by then.
    """
    chosen = known_options("patch", options, PatchOptions)
    for one in (model, donor):
        refuse_unknown_to_run(lake_at(lake), one and str(one), str(dataset), chosen)
    from extract.patching import PatchRequest, outlook, patch as run

    receiver, giving = _requests(str(model), donor, str(dataset), chosen)
    request = PatchRequest(
        receiver,
        giving,
        tokens=several(chosen.get("tokens", ())),
        controls=chosen.get("controls", True),
        limit=chosen.get("limit"),
    )
    if dry_run:
        return outlook(lake_at(lake), request)
    summary = run(lake_at(lake), request, progress)
    refuse_rejected(summary.rejected, chosen.get("skip_bad"))
    return summary


def _requests(
    model: str, donor: str | PathLike[str] | None, dataset: str, options: Mapping[str, Any]
) -> tuple[ExtractRequest, ExtractRequest | None]:
    of_receiver = of_the_model(options)
    of_donor = {name: options.get(f"from_{name}") for name in OF_A_VARIANT}
    receiver = requested(model, dataset, of_receiver)
    if donor is None:
        if any(of_donor.values()):
            raise UsageError(
                "from_adapter, from_fault and from_quantization say which variant of "
                "the donor is meant; name it with --from (donor=)"
            )
        return receiver, None
    of_both = {name: given for name, given in of_receiver.items() if name not in OF_THE_RECEIVER}
    return receiver, requested(str(donor), dataset, of_both | of_donor)
