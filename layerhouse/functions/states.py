"""States as files: a model's vectors written out, and brought from other programs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from layerhouse.functions.arguments import Place, Several, known_options, lake_at, several
from layerhouse.parts import part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.states import Exported, StateSummary
    from warehouse.progress import Progress


class ExportOptions(TypedDict, total=False):
    """What `layerhouse export --help` explains; every one may be left out."""

    format: str
    module: Several
    layer: int | str | Sequence[int | str]
    readout: Several
    force: bool


@part("extract")
def export(
    model: str,
    dataset: str,
    out: str | PathLike[str],
    *,
    lake: Place = None,
    **options: Unpack[ExportOptions],
) -> Exported:
    """Write a model's vectors on a dataset to a new folder, with its samples, labels and a
    manifest; `format` is `safetensors`, `npy` or `hf`, a dataset of Hugging Face's with a card.

    `force` replaces an earlier export. `layerhouse.import_` reads the first two back.
    """
    from extract.states import Selected, export_states

    given: dict[str, Any] = known_options("export", options, ExportOptions)
    words = (several(given.get(name)) for name in ("module", "layer", "readout"))
    return export_states(
        lake_at(lake),
        model,
        dataset,
        Path(out),
        form=given.get("format", "safetensors"),
        selected=Selected(*words),
        force=given.get("force", False),
    )


class ImportStatesOptions(TypedDict, total=False):
    """What `layerhouse import --help` explains; every one may be left out."""

    title: str | None
    partial: bool
    skip_unknown: bool
    trained_on: Several


@part("extract")
def import_(
    folder: str | PathLike[str],
    model: str,
    dataset: str,
    *,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ImportStatesOptions],
) -> StateSummary:
    """Add the vectors of a folder, whose manifest says what its files hold, as a model's
    activations on a dataset."""
    from extract.states import StateOptions, import_states

    given: dict[str, Any] = known_options("import_", options, ImportStatesOptions)
    given["trained_on"] = several(given.pop("trained_on", None))
    place = lake_at(lake)
    return import_states(place, Path(folder), model, dataset, StateOptions(**given), progress)
