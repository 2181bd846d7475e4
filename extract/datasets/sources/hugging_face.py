"""A Hugging Face dataset: a `save_to_disk` folder, or `hf:owner/name[/config]` from the hub.

The images stay where the `datasets` library keeps them, in Arrow files; a sample's uri names the
file and the row, so that later commands open them without that library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.datasets.columns import split_not_read
from extract.datasets.findings import understood
from extract.datasets.groups import patients_not_told
from extract.datasets.source import Contents, Item, ReadOptions, SourceAsAsked, slug
from extract.datasets.sources.library_checks import (
    refuse_empty_files,
    refuse_unnamed,
    refuse_unread,
)
from extract.datasets.splits import split_name, split_reader
from extract.datasets.tables import LabelTable, cells_of, names_images, text
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object

HUB_SCHEME = "hf:"
_PARTS, _STATE = "dataset_dict.json", "state.json"
_LABEL_COLUMNS = ("label", "labels", "class")
_UNDERSTOOD = frozenset(("columns", "separator", "missing", "uncertain"))


class SavedDataset(SourceAsAsked):
    """A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""

    def recognises(self, typed: str) -> bool:
        folder = Path(typed).expanduser()
        return any((folder / name).is_file() for name in (_PARTS, _STATE))

    understands = _UNDERSTOOD

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        folder = Path(typed).expanduser().absolute()
        library = _library()
        parts = _saved_parts(folder)
        empty = [name for name, place in parts.items() if _is_empty(place)]
        if len(empty) == len(parts):
            raise LayerhouseError(
                f"{folder} holds no rows; save the dataset again, with its images"
            )
        try:
            loaded = {
                name: library.Dataset.load_from_disk(str(place))
                for name, place in parts.items()
                if name not in empty
            }
        except Exception as error:  # the library raises whatever its file readers raise
            raise LayerhouseError(
                f"{folder} is not a readable Hugging Face dataset: {str(error).splitlines()[0]}"
            ) from error
        contents = _contents(loaded, str(folder), folder.name, reading)
        told = tuple(
            f"the part {name} of {folder.name} holds no rows, so it is no split" for name in empty
        )
        return replace(contents, notes=(*told, *contents.notes))


def _saved_parts(folder: Path) -> dict[str, Path]:
    """The folders of the parts that were saved together; a dataset of one is its own."""
    listed = folder / _PARTS
    if not listed.is_file() or (folder / _STATE).is_file():
        return {"train": folder}
    names = read_object(listed).get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LayerhouseError(f"{listed} names no splits; save the dataset again")
    return {name: folder / name for name in names}


def _is_empty(part: Path) -> bool:
    """Whether a part was saved without a row, which the library writes and cannot read."""
    state = part / _STATE
    return state.is_file() and read_object(state).get("_data_files") == []


class HubDataset(SourceAsAsked):
    """`hf:owner/name` or `hf:owner/name/config`, downloaded to the library's cache.

    `hf:FOLDER` is a folder as the hub has it: Parquet files that hold the images themselves.
    """

    def recognises(self, typed: str) -> bool:
        return typed.startswith(HUB_SCHEME)

    understands = _UNDERSTOOD

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        library = _library()
        folder = _folder(typed)
        repository = typed.removeprefix(HUB_SCHEME)
        owner, _, rest = repository.partition("/")
        title, _, config = rest.partition("/")
        if folder is None and not (owner and title):
            raise LayerhouseError(
                f"{typed} is not a hub dataset; write hf:owner/name, or hf:FOLDER for one that is "
                "here"
            )
        try:
            if folder is None:
                loaded = library.load_dataset(f"{owner}/{title}", config or None)
            else:
                loaded = library.load_dataset(str(folder))
        except Exception as error:  # network, authorisation and builder faults share no base class
            refuse_empty_files(folder)
            refuse_unnamed(typed, folder, str(error))
            where = "the hub" if folder is None else "its files"
            raise LayerhouseError(
                f"{typed} could not be loaded from {where}: {str(error).splitlines()[0]}"
            ) from error
        refuse_unread(folder, loaded)
        title = repository if folder is None else folder.name
        return _contents(loaded, self.location(typed), title, reading)

    def location(self, typed: str) -> str:
        folder = _folder(typed)
        return typed if folder is None else f"{HUB_SCHEME}{folder}"

    def default_name(self, typed: str) -> str:
        folder = _folder(typed)
        return slug(
            typed.removeprefix(HUB_SCHEME).partition("/")[2] if folder is None else folder.name
        )


def _folder(typed: str) -> Path | None:
    """The folder of this machine that an address means, if there is one."""
    place = Path(typed.removeprefix(HUB_SCHEME)).expanduser().absolute()
    return place if place.is_dir() else None


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise LayerhouseError(
            "Hugging Face datasets need an extra: pip install 'layerhouse[datasets]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _contents(loaded: Any, location: str, title: str, reading: ReadOptions) -> Contents:
    parts = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    first = next(iter(parts.values()))
    image = _image_column(first.features, location, reading.columns.get("image_path"))
    table = _table(parts, location)
    if len(parts) > 1 and reading.columns.get("split", "none") != "none":
        raise UsageError(f"the splits of {location} are its parts, {', '.join(parts)}, no column")
    is_one = len(parts) == 1
    meant = _meant(reading, first.features, is_one, location)
    roles, labelled = understood(table, meant)
    told = split_not_read(table, roles, meant.columns)
    split_of = split_reader(table, roles.split)
    kept = [key for key, kind in first.features.items() if kind.__class__.__name__ == "Value"]
    attributes = [key for key in kept if key in table.columns and key not in roles.used]
    items = []
    for index, (split, name, uri) in enumerate(_places(parts, image, location, reading)):
        said, row = labelled.row(index), table.rows[index]
        if said is None:
            continue  # its notes say so
        items.append(
            Item(
                sample_id=name,
                uri=uri,
                label=said[0],
                split=split_of(index) if is_one else split,
                group_id=roles.group(row),
                attributes={key: held for key in attributes if (held := text(row[key]))},
                findings=said[1],
            )
        )
    names = _class_names(first.features.get(next(iter(roles.labels), "")))
    used = {item.label for item in items}
    labels = tuple(name for name in names or () if name in used) or None
    licence = first.info.license or None
    return Contents(
        location,
        items,
        title,
        licence,
        labels,
        (*labelled.notes, *told, *patients_not_told(table, roles, reading, items)),
        findings=labelled.names,
        groups_from=roles.grouping,
        left_out=labelled.left_out,
    )


def _places(
    parts: Mapping[str, Any], image: str, location: str, reading: ReadOptions
) -> Iterator[tuple[str | None, str, str]]:
    """(split, sample id, uri) of every row; parts are no splits where somebody says so."""
    is_unsplit = len(parts) == 1 or reading.columns.get("split") == "none"
    for name, part in parts.items():
        split = None if is_unsplit else split_name(name, location)
        uris = _uris(part, image, location)
        for index, uri in enumerate(uris):
            yield split, f"{name}/{index:05d}", uri


def _table(parts: Mapping[str, Any], location: str) -> LabelTable:
    """All rows without their images, classes by name."""
    rows: list[dict[str, Any]] = []
    places = []
    columns: dict[str, None] = {}
    for name, part in parts.items():
        images = _image_columns(part.features)
        cells = {
            key: [_named(value, _class_names(kind)) for value in cells_of(part.data.column(key))]
            for key, kind in part.features.items()
            if key not in images
        }
        columns |= dict.fromkeys(cells)
        rows += [{key: held[index] for key, held in cells.items()} for index in range(len(part))]
        places += [f"row {index} ({name})" for index in range(len(part))]
    return LabelTable(Path(location), list(columns), rows, places)


def _class_names(kind: Any) -> list[str] | None:
    """The names of a column of classes, or of lists of them."""
    names: list[str] | None = getattr(kind, "names", None) or getattr(
        getattr(kind, "feature", None), "names", None
    )
    return names


def _named(value: Any, names: list[str] | None) -> Any:
    """A class by its name; the library writes -1 for "not labelled"."""
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [names[one] for one in value if one is not None and one >= 0]
    return names[value] if value >= 0 else None


def _meant(reading: ReadOptions, features: Any, is_one: bool, location: str) -> ReadOptions:
    """The columns as a person names them, else by their types; parts are the splits."""
    by_parts = {} if is_one else {"split": "none"}
    columns = {**by_parts, **reading.columns, "image_path": "none"}
    if "label" not in columns and not reading.unlabelled:
        label = _label_column(features, location)
        columns |= {"label": label} if label is not None else {}
    return replace(reading, columns=columns)


def _image_columns(features: Any) -> list[str]:
    """The columns that hold images: by their type, or as the bytes of files."""
    found = []
    for key, kind in features.items():
        is_bytes = "binary" in str(getattr(kind, "dtype", "")) and names_images(key)
        if _is_images(kind) or is_bytes:
            found.append(str(key))
    return found


def _is_images(kind: Any) -> bool:
    is_file = isinstance(kind, dict) and "bytes" in kind
    return is_file or kind.__class__.__name__ == "Image"


def _image_column(features: Any, location: str, named: str | None) -> str:
    found = _image_columns(features)
    if named in found:
        return str(named)
    if not found or named is not None:
        lists = [name for name, kind in features.items() if _is_images(getattr(kind, "feature", 0))]
        if lists:
            raise LayerhouseError(
                f"{location} holds lists of images in its column {lists[0]}, and a sample is one; "
                f"dataset.map(lambda row: {{'image': row['{lists[0]}'][0]}}) and save_to_disk keep "
                "the first of each"
            )
        raise LayerhouseError(
            f"{location} has no image column{f' {named}' if named else ''}; it has "
            f"{', '.join(features)}, of which none holds one image a row; "
            "cast_column(NAME, datasets.Image()) and save_to_disk make one"
        )
    if len(found) > 1 and "image" not in found:
        raise LayerhouseError(
            f"{location} has the images {' and '.join(found)}; --column image_path={found[0]} says "
            "which are meant"
        )
    return "image" if "image" in found else found[0]


def _label_column(features: Any, location: str) -> str | None:
    classes = [str(key) for key, kind in features.items() if _class_names(kind)]
    named = [key for key in _LABEL_COLUMNS if key in features]
    found = [key for key in named if key in classes] or classes or named
    if len(found) > 1 and not named:
        raise LayerhouseError(
            f"{location} has the classes of {' and of '.join(found)}; --column label={found[0]} "
            "says which are meant"
        )
    return found[0] if found else None


def _uris(part: Any, column: str, location: str) -> Iterator[str]:
    """One uri per row: the Arrow file and row, or the path of an image kept outside of it."""
    import pyarrow as pa

    files = [entry["filename"] for entry in part.cache_files]
    folders, counts = _beside(location), []
    for file in files:
        with pa.memory_map(file) as stream:
            cells = pa.ipc.open_stream(stream).read_all().column(column)
        counts.append(len(cells))
        for index, cell in enumerate(cells):
            inside = f"{file}#{column}/{index}"
            held = cell.as_py() if pa.types.is_struct(cell.type) and cell.is_valid else {}
            is_inside = held.get("bytes") or not held.get("path")
            yield inside if is_inside else _image_file(str(held["path"]), folders, location)
    if sum(counts) != len(part):
        raise LayerhouseError(
            f"{location} is a selection of a larger dataset; save it with save_to_disk first"
        )


def _beside(location: str) -> list[Path]:
    """The folders that paths of images may be seen from, of a dataset whose files are here: its
    own, and that of its tables where they lie in one, since no row tells of which it is."""
    root = Path(location.removeprefix(HUB_SCHEME))
    if not root.is_dir():
        return []
    of_tables = {path.parent for path in root.rglob("*.parquet")}
    return [*(of_tables if len(of_tables) == 1 else ()), root]


def _image_file(written: str, folders: Sequence[Path], location: str) -> str:
    """The file of an image outside of its table, or where it should be; refuses one of two."""
    meant = [str(folder / written) for folder in folders]  # that of a whole path is the path
    there = list(dict.fromkeys(file for file in meant if Path(file).exists()))
    if len(there) > 1:
        raise LayerhouseError(
            f"{location} names an image {written}, which may be {there[0]} or {there[1]}; write "
            "whole paths into its tables"
        )
    return (*there, *meant, written)[0]
