"""A folder of classes: `root/<class>/…` or `root/<split>/<class>/…`, images at any depth below.

DICOM files count as images too; their PatientID becomes the group, so that splits keep patients
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from extract.datasets.groups import grouped_by_patient
from extract.datasets.labels import natural_key
from extract.datasets.source import Contents, DatasetSource, Item
from extract.datasets.splits import is_split_name, split_name
from warehouse.errors import LayerhouseError
from warehouse.images import DICOM_SUFFIXES

IMAGE_SUFFIXES = {
    *DICOM_SUFFIXES,
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}


class ClassFolders(DatasetSource):
    """Any folder that no other source knows; it must hold images in a folder per class."""

    def recognises(self, typed: str) -> bool:
        return Path(typed).expanduser().is_dir()

    def read(self, typed: str) -> Contents:
        root = Path(typed).expanduser().absolute()
        if not any(root.iterdir()):
            raise LayerhouseError(f"{root} is empty")
        found = list(_class_folders(root))
        files = [(split, label, path) for split, label, folder in found for path in _files(folder)]
        images = [entry for entry in files if entry[2].suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            raise LayerhouseError(
                f"{root} holds no images in class folders; expected {root.name}/<class>/<image> or "
                f"{root.name}/<split>/<class>/<image>, or a manifest.csv"
            )
        masks = _masks([path for _, _, path in images])
        items = [
            Item(path.relative_to(root).as_posix(), str(path), label, split)
            for split, label, path in images
            if path not in masks
        ]
        notes = []
        if masks:
            notes.append(f"{len(masks)} segmentation masks (<image>_mask) were left out")
        if len(files) > len(images):
            other = next(path for _, _, path in files if path.suffix.lower() not in IMAGE_SUFFIXES)
            notes.append(
                f"{len(files) - len(images)} files that are no images were left out, first {other}"
            )
        return Contents(str(root), grouped_by_patient(items), root.name, notes=tuple(notes))


def _class_folders(root: Path) -> Iterator[tuple[str | None, str, Path]]:
    """(split or None, label, folder) of every class folder, in natural order."""
    top = _subfolders(root)
    if top and all(is_split_name(folder.name) for folder in top):
        for split in top:
            for folder in _subfolders(split):
                yield split_name(split.name, str(root)), folder.name, folder
        return
    for folder in top:
        yield None, folder.name, folder


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: natural_key(path.name),
    )


def _files(folder: Path) -> list[Path]:
    visible = (
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )
    return sorted(visible, key=lambda path: natural_key(path.as_posix()))


def _masks(paths: list[Path]) -> set[Path]:
    """Files named `<other file>_mask` or `<other file>_mask_<n>`, as BUSI ships them."""
    stems = {path.with_suffix("") for path in paths}
    return {
        path
        for path in paths
        if (match := re.fullmatch(r"(.+)_mask(_\d+)?", path.stem))
        and path.with_name(match[1]) in stems
    }
