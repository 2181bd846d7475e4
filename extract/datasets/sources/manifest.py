"""A table of images (CSV, Parquet, JSON): `image_path,label` and, where known, the rest.

`split,group_id` are the rest, under these or other names. Paths are relative to the table's own
folder. Every other column is kept as an attribute of the sample, so that results can be grouped by
age, view or scanner.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from extract.datasets.cells import refuse_encoded
from extract.datasets.columns import Roles, split_not_read
from extract.datasets.findings import Labelled, understood
from extract.datasets.groups import (
    grouped_by_path,
    grouped_by_patient,
    patients_in_names,
    patients_not_told,
)
from extract.datasets.source import Contents, Item, ReadOptions, SourceAsAsked, slug
from extract.datasets.sources.folder import IMAGE_SUFFIXES
from extract.datasets.sources.hints import embedded
from extract.datasets.splits import split_reader
from extract.datasets.tables import (
    SUFFIXES,
    LabelTable,
    image_column,
    is_missing,
    read_table,
    text,
)
from extract.datasets.walking import files_below
from warehouse.errors import LayerhouseError, UsageError

NAMES = ("manifest.csv", "manifest.tsv", "manifest.parquet", "manifest.jsonl")


class Manifest(SourceAsAsked):
    """A table of images: the file itself, or a folder that carries one under a usual name.

    Reading raises LayerhouseError for missing columns (naming those it has), empty cells, an
    unknown split, a path listed twice, and a quote that swallows lines.
    """

    understands = frozenset(
        ("columns", "encoding", "delimiter", "separator", "missing", "uncertain", "images")
    )

    def recognises(self, typed: str) -> bool:
        return _file(typed) is not None

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        path = _file(typed)
        assert path is not None, "only what is recognised is read"
        held = image_column(path)
        if held is not None and reading.columns.get("image_path", held) == held:
            raise LayerhouseError(f"{path} lists no files: {embedded(path)}")
        table = read_table(path, reading)
        if not table.rows and (table.columns or path.suffix.lower() == ".json"):
            raise LayerhouseError(f"{path} lists no images")
        refuse_encoded(table, reading.columns)
        roles, labelled = understood(table, reading, needed=("image_path",))
        files = _Files(_images(path, reading))
        items = _items(table, roles, labelled, files)
        _refuse_doubled(items, path)
        items, told = grouped_by_patient(items, reading)
        items, by_path = grouped_by_path(items, reading)
        asked = f"{by_path}; --column group_id=none makes every image a group of its own"
        title = path.parent.name if path.name in NAMES else f"{path.parent.name} ({path.stem})"
        found = (
            *labelled.notes,
            *files.notes,
            *told,
            *((asked,) if by_path else ()),
            *split_not_read(table, roles, reading.columns),
            *patients_not_told(table, roles, reading, items),
            *(() if "group_id" in reading.columns else patients_in_names(items)),
        )
        return Contents(
            str(path),
            items,
            title,
            notes=found,
            findings=labelled.names,
            groups_from=roles.grouping or by_path or "; ".join(told),
            left_out=labelled.left_out,
        )

    def location(self, typed: str) -> str:
        return str(_file(typed))

    def default_name(self, typed: str) -> str:
        """The folder's name; a manifest that is not simply called `manifest` adds its own.

        So several label sets of the same images can live side by side.
        """
        place = Path(typed).expanduser().resolve()
        if place.is_dir():
            return slug(place.name)
        own = "" if place.name in NAMES else "_" + place.stem.removeprefix("manifest_")
        return slug(place.parent.name + own)


def _file(typed: str) -> Path | None:
    """The manifest that is meant, if one is."""
    place = Path(typed).expanduser().absolute()
    if place.is_dir():
        return next((place / name for name in NAMES if (place / name).is_file()), None)
    return place if place.suffix.lower() in SUFFIXES and place.is_file() else None


def _images(path: Path, reading: ReadOptions) -> Path:
    folder = Path(path.parent, Path(reading.images or "").expanduser())
    if reading.images and not folder.is_dir():
        raise UsageError(f"--images {reading.images}: {folder} is no folder")
    return folder


class _Files:
    """The files that a table names from `folder` on, some without their suffix or folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Path, dict[str, list[Path]]] = {}
        self._forms: dict[Path, dict[str, list[Path]]] = {}
        self._below: dict[str, list[Path]] | None = None
        self._completed: list[str] = []
        self._deeper: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{len(named):,} paths leave the {what} of their file out, first {named[0]}"
            for what, named in (("suffix", self._completed), ("folder", self._deeper))
            if named
        )

    def place(self, written: str, where: str) -> tuple[str, Path]:
        """The sample's id and its file; paths of Windows are read where nothing else is there.

        LayerhouseError for addresses, for drives of a Windows machine that this one is not, and for
        what several images are called beside their suffix.
        """
        image = PurePosixPath(written)
        file = Path(self._folder, image)
        if re.match(r"[A-Za-z][\w+.-]+://", written):
            raise LayerhouseError(
                f"{where} names {written}, which is an address; images are read from files, so "
                "download them and write their paths (--images FOLDER says where these start)"
            )
        is_there = self._is_there(file, where)
        if re.match(r"[A-Za-z]:[\\/]|\\\\", written) and os.name != "nt" and not is_there:
            raise LayerhouseError(
                f"{where} names {written}, a path of a Windows machine; write what follows the "
                "folder of the images alone, and name that folder here with --images FOLDER"
            )
        if "\\" in written and not is_there:
            image = PurePosixPath(written.replace("\\", "/"))
            file = Path(self._folder, image)
            is_there = self._is_there(file, where)
        if not is_there and not str(image).isascii():
            file = self._in_its_form(file)
            is_there = file.exists()
        return str(image), file if is_there else self._found(file, where)

    def _in_its_form(self, file: Path) -> Path:
        """The file of the same letters in another form of Unicode, as macOS and archives made there
        write `ä`; the path as it is where there is none, or several.
        """
        place = Path(file.anchor)
        for part in file.parts[1:]:
            here, place = place, place / part
            if place.exists():
                continue
            if here not in self._forms:
                self._forms[here] = {}
                for path in here.iterdir() if here.is_dir() else ():
                    self._forms[here].setdefault(_composed(path.name), []).append(path)
            alike = self._forms[here].get(_composed(part), [])
            if len(alike) != 1:
                return file
            place = alike[0]
        return place

    def _is_there(self, file: Path, where: str) -> bool:
        try:
            return file.exists()
        except OSError as error:  # what is longer than any path
            raise LayerhouseError(
                f"{where} names {file.name[:40]}…, which is no path of a file; --column "
                "image_path=… says which column holds paths"
            ) from error

    def _found(self, file: Path, where: str) -> Path:
        """The one image that is called so; else the path as it is, for whoever opens it to name.

        Beside its suffix, as `ISIC_0024306` has it, or anywhere below the folder where the table
        gives a name alone, as NIH's does, whose images lie in twelve folders.
        """
        if file.parent not in self._held:
            there = file.parent.iterdir() if file.parent.is_dir() else ()
            self._held[file.parent] = _by_name(there)
        found = self._held[file.parent].get(file.name, ())
        if not found and file.parent == self._folder:
            if self._below is None:
                self._below = _by_name(files_below(self._folder, set()))
            found = self._below.get(file.name, ())
            self._deeper += [file.name] if len(found) == 1 else []
        if len(found) > 1:
            shown = " or ".join(str(path.relative_to(self._folder)) for path in sorted(found)[:3])
            raise LayerhouseError(
                f"{where} names {file.name}, which may be {shown}; write in the table which"
            )
        if not found:
            return file
        if found[0].name != file.name:
            self._completed.append(f"{file.name} for {found[0].name}")
        return found[0]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _by_name(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Images by their name, and by their name without its suffix."""
    held: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            for name in {path.name, path.stem}:
                held.setdefault(name, []).append(path)
    return held


def _items(table: LabelTable, roles: Roles, labelled: Labelled, files: _Files) -> list[Item]:
    own = roles.used | set(labelled.names)
    split_of = split_reader(table, roles.split)
    items = []
    for index, row in enumerate(table.rows):
        where = table.place(index)
        said = labelled.row(index)
        if said is None:
            continue  # its notes say so
        if is_missing(row.get(roles.image_path or "")):
            raise LayerhouseError(f"{where} has no {roles.image_path}")
        if isinstance(row[roles.image_path or ""], dict | bytes):
            raise LayerhouseError(
                f"{where} holds an image itself in its {roles.image_path} where the path of a file "
                "is needed; save the images as files and write their paths"
            )
        _refuse_broken_quotes(row, own, where)
        image, file = files.place(_path(row[roles.image_path or ""], where), where)
        items.append(
            Item(
                sample_id=image,
                uri=str(file),
                label=said[0],
                split=split_of(index),
                group_id=roles.group(row),
                attributes=_attributes(row, own),
                findings=said[1],
            )
        )
    return items


def _path(cell: object, where: str) -> str:
    """The path in a cell; of a list, as tables of conversations have it, the only one."""
    if isinstance(cell, list) and len(cell) > 1:
        raise LayerhouseError(
            f"{where} names {len(cell)} images, and a sample is one; give each a row of its own"
        )
    return text(cell[0] if isinstance(cell, list) and cell else cell)


def _attributes(row: dict[str, object], own: set[str]) -> dict[str, str]:
    """All that a row says of an image beside what we know it by; embedded files say nothing."""
    others = ((k, v) for k, v in row.items() if k not in own and not isinstance(v, bytes))
    return {name: said for name, value in others if (said := text(value))}


def _refuse_broken_quotes(row: dict[str, object], own: set[str], where: str) -> None:
    """A quote that is closed on a later line swallows rows; only free text may hold lines."""
    for name in own:
        if "\n" in text(row.get(name)):
            raise LayerhouseError(
                f"{where} holds a line break in its {name}; a quote that is opened there is closed "
                "on another line"
            )


def _refuse_doubled(items: list[Item], path: Path) -> None:
    if not items:
        raise LayerhouseError(f"{path} lists no images with a label")
    file, times = Counter(os.path.normpath(item.uri) for item in items).most_common(1)[0]
    if times > 1:
        name = next(item.sample_id for item in items if os.path.normpath(item.uri) == file)
        raise LayerhouseError(
            f"{path} lists {name} {times} times; every image belongs there once, so where rows are "
            "boxes or opinions about an image, keep one row with its label"
        )
