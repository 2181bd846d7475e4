"""What the functions take that run a model, and the request that comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

from layerhouse.functions.arguments import Several, several

if TYPE_CHECKING:
    from extract.models import GivenModel
    from extract.sharing import ExtractRequest

Layer = int | str | Sequence[int | str]
"""Which layers: an index (negatives count from the end) or the kind of a norm, one or several."""

REQUESTED = {
    "readout": "readouts",
    "module": "modules",
    "layer": "layers",
    "fault": "faults",
    "answer": "answers",
    "prompt": "prompts",
    "image_control": "image_controls",
    "trained_on": "trained_on",
}
"""What takes one or several, by the name that a request has for it."""


class RunOptions(TypedDict, total=False):
    """Which variant of a model is run, at which loci, how it is asked, and on what machine."""

    adapter: str | PathLike[str] | None
    fault: Several
    quantization: str | None
    module: Several
    layer: Layer
    prompt: Several
    system: str | None
    trained_on: Several
    device: str
    dtype: str
    device_map: str | PathLike[str] | None
    batch_size: str | int
    max_pixels: int
    skip_bad: bool


def requested(
    model: str | GivenModel, dataset: str | PathLike[str], options: Mapping[str, Any]
) -> ExtractRequest:
    """The request that options come to, each of which says what is run."""
    from extract.sharing import ExtractRequest

    asked: dict[str, Any] = {
        REQUESTED.get(name, name): several(given) if name in REQUESTED else given
        for name, given in options.items()
    }
    return ExtractRequest(model, str(dataset), **asked)


def of_the_model(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options of an intervention those that say which model is run, and how."""
    return {
        name: given
        for name, given in options.items()
        if name in RunOptions.__annotations__ and name != "skip_bad"
    }
