"""Labelled images: registered once, every model is then run on the same samples and splits."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

from layerhouse.functions import Place, lake_at
from layerhouse.parts import part
from warehouse.progress import Progress

if TYPE_CHECKING:
    from extract.datasets import AddResult

__all__ = ["add"]


@part("extract")
def add(
    name: str,
    path: str | PathLike[str],
    *,
    title: str | None = None,
    licence: str | None = None,
    phrase: Mapping[str, str] | None = None,
    lake: Place = None,
    progress: Progress | None = None,
) -> AddResult:
    """Register the labelled images at `path` as `name`.

    `path` is a folder of classes, a manifest (CSV or Parquet), a MedMNIST .npz, a DICOM folder or a
    Hugging Face dataset; `phrase` says how a class is spelled in the prompt, by its label. Raises
    UsageError for what cannot be meant and LayerhouseError for everything wrong with the data.
    """
    from extract.datasets import AddOptions, add as register

    options = AddOptions(title, licence, phrase or {})
    return register(lake_at(lake), name, str(path), options, progress)
