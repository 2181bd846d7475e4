"""`layerhouse.patch`: the states of a donor in the place of a model's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from layerhouse.functions.arguments import (
    Place,
    Several,
    known_options,
    lake_at,
    layers_of,
    refuse_rejected,
    several,
)
from layerhouse.functions.names import refuse_unknown_to_run
from layerhouse.parts import part
from warehouse.errors import UsageError
from warehouse.progress import Progress

if TYPE_CHECKING:
    from extract.patching import PatchOutlook, PatchSummary
    from extract.sharing import ExtractRequest

OF_BOTH = ("device", "dtype", "device_map", "batch_size", "system", "max_pixels")


class PatchOptions(TypedDict, total=False):
    """What `layerhouse patch --help` explains; every one may be left out."""

    adapter: str | PathLike[str] | None
    fault: Several
    quantization: str | None
    from_adapter: str | PathLike[str] | None
    from_fault: Several
    from_quantization: str | None
    module: Several
    layer: int | str | Sequence[int | str]
    tokens: Several
    controls: bool
    limit: int | None
    prompt: Several
    system: str | None
    trained_on: Several
    device: str
    dtype: str
    device_map: str | PathLike[str] | None
    batch_size: str | int
    max_pixels: int
    skip_bad: bool


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
    from extract.sharing import ExtractRequest

    both = {name: options[name] for name in OF_BOTH if name in options}
    both |= {
        plural: several(options[name])
        for name, plural in (("prompt", "prompts"), ("trained_on", "trained_on"))
        if name in options
    }
    receiver = ExtractRequest(
        model,
        dataset,
        **both,
        **_variant(options, ""),
        modules=several(options.get("module", ())),
        layers=layers_of(options.get("layer", ())),
    )
    variant = _variant(options, "from_")
    if donor is None:
        if any(variant.values()):
            raise UsageError(
                "from_adapter, from_fault and from_quantization say which variant of "
                "the donor is meant; name it with --from (donor=)"
            )
        return receiver, None
    return receiver, ExtractRequest(str(donor), dataset, **both, **variant)


def _variant(options: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        "adapter": options.get(f"{prefix}adapter"),
        "faults": several(options.get(f"{prefix}fault", ())),
        "quantization": options.get(f"{prefix}quantization"),
    }
