"""A folder of classes: `root/<class>/…` or `root/<split>/<class>/…`, images at any depth below.

DICOM files count as images too; their PatientID becomes the group, so that splits keep patients
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from extract.datasets.source import Item, Source, is_split_name, natural_key, split_name
from warehouse.errors import LayerhouseError

DICOM_SUFFIXES = {".dcm", ".dicom"}
IMAGE_SUFFIXES = DICOM_SUFFIXES | {
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
}


def read_folder(root: Path) -> Source:
    """The classes below `root`; LayerhouseError if there is no image in a class folder."""
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
    return Source(str(root), _grouped_by_patient(items), root.name, notes=tuple(notes))


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


def _grouped_by_patient(items: list[Item]) -> list[Item]:
    dicom = [item for item in items if Path(item.uri).suffix.lower() in DICOM_SUFFIXES]
    if not dicom:
        return items
    patients = {item.sample_id: _patient(item.uri) for item in dicom}
    if len(set(patients.values())) < 2:  # anonymised to one name: says nothing about patients
        return items
    return [replace(item, group_id=patients.get(item.sample_id)) for item in items]


def _patient(path: str) -> str | None:
    try:
        import pydicom
    except ImportError as error:
        raise LayerhouseError(
            f"{path} is a DICOM file, which needs pydicom: pip install 'layerhouse[dicom]'"
        ) from error
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    except Exception:  # a file that is no DICOM is reported when all images are decoded
        return None
    return str(header.get("PatientID", "")).strip() or None
