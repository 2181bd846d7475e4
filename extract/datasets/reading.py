"""Finds the reader for what a person points at."""

from __future__ import annotations

import re
from pathlib import Path

from extract.datasets.arrays import read_digits, read_medmnist
from extract.datasets.folder import read_folder
from extract.datasets.hugging_face import (
    HUB_SCHEME,
    is_saved_dataset,
    read_hub_dataset,
    read_saved_dataset,
)
from extract.datasets.manifest import NAMES, SUFFIXES, find_manifest, read_manifest
from extract.datasets.source import Source
from warehouse.errors import LayerhouseError, UsageError

BUILTIN = {"digits": read_digits}


def read_source(path: str) -> Source:
    """The samples at `path`: a built-in name, a folder, a manifest, an archive or a hub dataset.

    A folder with a manifest.csv (or .parquet) counts as that manifest. UsageError where there is
    nothing or nothing of these kinds; LayerhouseError where the data is bad.
    """
    if path in BUILTIN:
        return BUILTIN[path]()
    if path.startswith(HUB_SCHEME):
        return read_hub_dataset(path)
    place = Path(path).expanduser().absolute()
    if place.is_dir():
        return _read_directory(place)
    if not place.exists():
        raise UsageError(f"{path} does not exist (a hub dataset is written hf:owner/name)")
    if place.suffix.lower() in SUFFIXES:
        return read_manifest(place)
    if place.suffix.lower() == ".npz":
        return read_medmnist(place)
    raise UsageError(
        f"{path} is no dataset; give a folder of classes, a CSV or Parquet manifest, a MedMNIST "
        ".npz or a Hugging Face dataset"
    )


def _read_directory(folder: Path) -> Source:
    manifest = find_manifest(folder)
    if manifest:
        return read_manifest(manifest)
    if is_saved_dataset(folder):
        return read_saved_dataset(folder)
    if not any(folder.iterdir()):
        raise LayerhouseError(f"{folder} is empty")
    return read_folder(folder)


def is_source(name: str) -> bool:
    """Whether `name` points at something, rather than being the name of a dataset."""
    return name in BUILTIN or name.startswith(HUB_SCHEME) or Path(name).expanduser().exists()


def default_name(path: str) -> str:
    """The dataset id of a source that was given without a name: its folder's or archive's name.

    A manifest that is not simply called `manifest` adds its own name to that of its folder, so
    that several label sets of the same images can live side by side.
    """
    if path in BUILTIN:
        return path
    if path.startswith(HUB_SCHEME):
        return _slug(path.removeprefix(HUB_SCHEME).partition("/")[2])
    place = Path(path).expanduser().resolve()
    if place.suffix.lower() in SUFFIXES and place.is_file():
        own = "" if place.name in NAMES else "_" + place.stem.removeprefix("manifest_")
        return _slug(place.parent.name + own)
    return _slug(place.stem if place.is_file() else place.name)


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
    if not slug:
        raise UsageError(f"{text!r} gives no dataset name; use `layerhouse datasets add NAME PATH`")
    return slug
