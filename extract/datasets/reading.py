"""Finds the source that knows what a person points at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.datasets.source import Contents, DatasetSource, ReadOptions, name_of
from extract.datasets.sources.digits import Digits
from extract.datasets.sources.folder import ClassFolders
from extract.datasets.sources.hugging_face import HubDataset, SavedDataset
from extract.datasets.sources.manifest import Manifest
from extract.datasets.sources.medmnist import MedMnist
from warehouse.errors import LayerhouseError, UsageError
from warehouse.extensions import installed
from warehouse.images import is_image_file, what_instead

GROUP = "layerhouse.datasets"
SHIPPED = (Digits(), HubDataset(), Manifest(), SavedDataset(), MedMnist(), ClassFolders())
"""The sources that come with Layerhouse; the first that recognises a thing reads it."""

OPTIONS = {
    "columns": "column",
    "encoding": "encoding",
    "delimiter": "delimiter",
    "separator": "label-separator",
    "missing": "missing",
    "uncertain": "uncertain",
    "images": "images",
}
"""What a person may say of how a source is read, by the field of `ReadOptions`."""


def sources() -> Iterator[DatasetSource]:
    """All sources in the order they are asked: what comes with a name, what packages bring, ours.

    Packages come before our own readers of files, since a folder of classes is any folder.
    """
    named = [source for source in SHIPPED if source.offers]
    yield from named
    yield from installed(GROUP, DatasetSource).values()
    yield from (source for source in SHIPPED if source not in named)


def offered() -> tuple[str, ...]:
    """The datasets that come with a source and need no path."""
    return tuple(name for source in sources() for name in source.offers)


def source_of(typed: str) -> DatasetSource | None:
    """The source that recognises what a person typed."""
    return next((source for source in sources() if source.recognises(typed)), None)


def is_source(typed: str) -> bool:
    """Whether `typed` points at something, rather than being the name of a dataset."""
    return source_of(typed) is not None or Path(typed).expanduser().exists()


def read_source(typed: str, reading: ReadOptions | None = None) -> Contents:
    """The samples of what a person typed: a path, or a name that a source knows.

    UsageError where there is nothing, nothing that a source knows, or an option that means nothing
    to the source; LayerhouseError where the data is bad.
    """
    source, reading = source_of(typed), reading or ReadOptions()
    if source is not None:
        _refuse_foreign_options(source, reading, typed)
        contents = _checked(source.read_as(typed, reading), source, typed)
        return _without_labels(contents) if reading.unlabelled else contents
    if not Path(typed).expanduser().exists():
        raise UsageError(f"{typed} does not exist (a hub dataset is written hf:owner/name)")
    what = what_instead(Path(typed).expanduser())
    if what:
        raise UsageError(f"{typed} is {what}, for layerhouse reads folders and tables of images")
    raise UsageError(
        f"{typed} is no dataset; {_instead(Path(typed).expanduser())}give a folder of classes, a "
        "table of images (CSV, Parquet or JSON), a MedMNIST .npz or a Hugging Face dataset"
    )


def _checked(contents: Any, source: DatasetSource, typed: str) -> Contents:
    """What a source has read, which may be a package's: LayerhouseError where it is nothing."""
    named = f"{type(source).__module__}.{type(source).__qualname__}"
    if not isinstance(contents, Contents):
        raise LayerhouseError(f"{named} reads {typed} as a {type(contents).__name__}, no Contents")
    if not contents.items:
        raise LayerhouseError(f"{named} finds no images in {typed}")
    return contents


_BY_ENDING = {
    "if it is a table of text, let its first line name the columns (image_path,label) and call it "
    ".csv, or .tsv where tabs separate its cells (--delimiter says what else does); else ": (
        *(".txt", ".dat", ".data", ".psv", ".tab", ".list"),
    ),
    "if it is a table, save it as CSV or Parquet; else ": (
        *(".pkl", ".pickle", ".feather", ".arrow", ".db", ".sqlite", ".sqlite3", ".orc", ".sav"),
    ),
}
"""The way out for files that may be tables, by their endings."""


def _instead(path: Path) -> str:
    """What to do with a file that no source knows, where its ending or content tells."""
    if is_image_file(path):
        return "it is one image, and a dataset is many; "
    return next((way for way, all_of in _BY_ENDING.items() if path.suffix.lower() in all_of), "")


def _without_labels(contents: Contents) -> Contents:
    items = [replace(item, label=None, findings={}) for item in contents.items]
    return replace(contents, items=items, labels=None, findings=())


def as_typed(reading: ReadOptions) -> list[str]:
    """The options of the command line that say the same."""
    words = []
    for name, option in OPTIONS.items():
        said = getattr(reading, name)
        values = (
            [f"{role}={column}" for role, column in said.items()] if name == "columns" else [said]
        )
        words += [word for value in values if value for word in (f"--{option}", value)]
    return words


def _refuse_foreign_options(source: DatasetSource, reading: ReadOptions, typed: str) -> None:
    usual = ReadOptions()
    for name, option in OPTIONS.items():
        if getattr(reading, name) != getattr(usual, name) and name not in source.understands:
            kind = type(source).__name__
            raise UsageError(f"--{option} means nothing to {typed}, which is read as {kind}")


def location_of(typed: str) -> str:
    """Where a registration says that this is from."""
    source = source_of(typed)
    return typed if source is None else source.location(typed)


def default_name(typed: str) -> str:
    """The dataset id of a source that was given without a name."""
    source = source_of(typed)
    if source is None:
        return name_of(Path(typed).expanduser().resolve())
    return source.default_name(typed)
