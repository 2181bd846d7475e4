"""A Hugging Face dataset: a `save_to_disk` folder, or `hf:owner/name[/config]` from the hub.

The images stay where the `datasets` library keeps them, in Arrow files; a sample's uri names the
file and the row, so that later commands open them without that library.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from extract.datasets.source import Contents, DatasetSource, Item, slug
from extract.datasets.splits import split_name
from warehouse.errors import LayerhouseError

HUB_SCHEME = "hf:"
_LABEL_COLUMNS = ("label", "labels", "class")


class SavedDataset(DatasetSource):
    """A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""

    def recognises(self, typed: str) -> bool:
        folder = Path(typed).expanduser()
        return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))

    def read(self, typed: str) -> Contents:
        folder = Path(typed).expanduser().absolute()
        library = _library()
        try:
            loaded = library.load_from_disk(str(folder))
        except Exception as error:  # the library raises whatever its file readers raise
            raise LayerhouseError(
                f"{folder} is not a readable Hugging Face dataset: {str(error).splitlines()[0]}"
            ) from error
        return _contents(loaded, str(folder), folder.name)


class HubDataset(DatasetSource):
    """`hf:owner/name` or `hf:owner/name/config`, downloaded to the library's cache."""

    def recognises(self, typed: str) -> bool:
        return typed.startswith(HUB_SCHEME)

    def read(self, typed: str) -> Contents:
        library = _library()
        repository = typed.removeprefix(HUB_SCHEME)
        owner, _, rest = repository.partition("/")
        title, _, config = rest.partition("/")
        if not owner or not title:
            raise LayerhouseError(f"{typed} is not a hub dataset; write hf:owner/name")
        try:
            loaded = library.load_dataset(f"{owner}/{title}", config or None)
        except Exception as error:  # network, authorisation and builder faults share no base class
            raise LayerhouseError(
                f"{typed} could not be loaded from the hub: {str(error).splitlines()[0]}"
            ) from error
        return _contents(loaded, typed, repository)

    def default_name(self, typed: str) -> str:
        return slug(typed.removeprefix(HUB_SCHEME).partition("/")[2])


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise LayerhouseError(
            "Hugging Face datasets need an extra: pip install 'layerhouse[datasets]'"
        ) from error
    return datasets


def _contents(loaded: Any, location: str, title: str) -> Contents:
    parts = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    items = [
        item
        for name, part in parts.items()
        for item in _items(
            part, name, None if len(parts) == 1 else split_name(name, location), location
        )
    ]
    first = next(iter(parts.values()))
    names = getattr(first.features[_label_column(first.features, location)], "names", None)
    used = {item.label for item in items}
    labels = tuple(name for name in names if name in used) if names else None
    groups_from = "groups are the column group_id" if "group_id" in first.features else ""
    return Contents(
        location, items, title, first.info.license or None, labels, groups_from=groups_from
    )


def _items(part: Any, name: str, split: str | None, location: str) -> Iterator[Item]:
    image, label = _image_column(part.features, location), _label_column(part.features, location)
    uris = _uris(part, image, location)
    others = [
        key
        for key, kind in part.features.items()
        if key not in (image, label, "group_id") and kind.__class__.__name__ == "Value"
    ]
    columns = {
        key: part.data.column(key).to_pylist()
        for key in (label, *others, *({"group_id"} & set(part.features)))
    }
    names = getattr(part.features[label], "names", None)
    for index, uri in enumerate(uris):
        value = columns[label][index]
        if value is None or value == -1:  # the library writes -1 for "not labelled"
            raise LayerhouseError(f"row {index} of {location} ({name}) has no label")
        group = columns["group_id"][index] if "group_id" in columns else None
        yield Item(
            sample_id=f"{name}/{index:05d}",
            uri=uri,
            label=names[value] if names else str(value),
            split=split,
            group_id=None if group is None else str(group),
            attributes={
                key: str(columns[key][index]) for key in others if columns[key][index] is not None
            },
        )


def _image_column(features: Any, location: str) -> str:
    found = [key for key, kind in features.items() if kind.__class__.__name__ == "Image"]
    if not found:
        raise LayerhouseError(f"{location} has no image column; it has {', '.join(features)}")
    return str("image" if "image" in found else found[0])


def _label_column(features: Any, location: str) -> str:
    classes = [key for key, kind in features.items() if kind.__class__.__name__ == "ClassLabel"]
    named = [key for key in _LABEL_COLUMNS if key in features]
    found = [key for key in named if key in classes] or classes or named
    if not found:
        raise LayerhouseError(f"{location} has no label column; it has {', '.join(features)}")
    return str(found[0])


def _uris(part: Any, column: str, location: str) -> Iterator[str]:
    """One uri per row: the Arrow file and row, or the path of an image kept outside of it."""
    import pyarrow as pa

    files = [entry["filename"] for entry in part.cache_files]
    counts = []
    for file in files:
        with pa.memory_map(file) as stream:
            cells = pa.ipc.open_stream(stream).read_all().column(column)
        counts.append(len(cells))
        for index, cell in enumerate(cells):
            path = cell["path"].as_py()
            yield str(path) if not cell["bytes"].is_valid else f"{file}#{column}/{index}"
    if sum(counts) != len(part):
        raise LayerhouseError(
            f"{location} is a selection of a larger dataset; save it with save_to_disk first"
        )
