"""A folder of classes: `root/<class>/…` or `root/<split>/<class>/…`, images at any depth below.

DICOM files count as images too; their PatientID becomes the group, so that splits keep patients
whole. Elsewhere a folder per patient below the classes does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from extract.datasets.groups import grouped_by_patient
from extract.datasets.labels import class_order
from extract.datasets.source import Contents, DatasetSource, Item, ReadOptions
from extract.datasets.splits import is_split_name, split_name
from extract.datasets.tables import SUFFIXES
from extract.datasets.walking import files_below, subfolders
from warehouse.errors import LayerhouseError
from warehouse.images import is_archive, is_dicom, is_image_file, what_instead

IMAGE_SUFFIXES = {
    *(".dcm", ".dicom"),
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}

_SHEETS = {".xlsx", ".xls", ".ods", ".json"}

_NO_CLASSES = re.compile(
    r"(patient|pat|subject|subj|sub|case|study|series|images?|imgs|part|batch|chunk|shard|folder)"
    r"[-_ ]*\d+|(p|s|st|se|im)[-_ ]?\d{3,}|\d{5,}|\d+(\.\d+){3,}",
    re.IGNORECASE,
)
"""Folders that number patients, studies or parts of an archive."""

_NO_PATIENTS = re.compile(
    r"(images?|imgs?|masks?|labels?|annotations?|data|originals?|raw|jpe?g|png|tiff?|dicom)"
    r"|\d+x|x\d+",
    re.IGNORECASE,
)
"""Folders below a class that sort its files in another way than by patient."""

_MASKS = re.compile(
    r"masks?|labels?|annotations?|segmentations?|segs?|gts?|ground[-_ ]?truths?", re.IGNORECASE
)
"""Folders below a class that hold segmentations."""


@dataclass(frozen=True)
class _Found:
    """An image and what its folders say of it; `below` is its path within the class folder."""

    path: Path
    label: str | None
    split: str | None
    below: Path


class ClassFolders(DatasetSource):
    """Any folder that no other source knows; it must hold images in a folder per class."""

    def recognises(self, typed: str) -> bool:
        return Path(typed).expanduser().is_dir()

    def read(self, typed: str) -> Contents:
        return self.read_as(typed, ReadOptions())

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        root = Path(typed).expanduser().absolute()
        if not any(root.iterdir()):
            raise LayerhouseError(f"{root} is empty")
        folders, notes = ([(None, None, root)], []) if reading.unlabelled else _class_folders(root)
        loops: set[Path] = set()
        files = [
            _Found(path, label, split, path.relative_to(folder))
            for split, label, folder in folders
            for path in files_below(folder, loops)
        ]
        found = [file for file in files if _is_image(file.path)]
        if not found:
            raise LayerhouseError(
                f"{root} holds no images in class folders; expected {root.name}/<class>/<image> or "
                f"{root.name}/<split>/<class>/<image>, or a manifest.csv (--unlabelled takes "
                f"images without labels){_there_instead(root)}"
            )
        if not reading.unlabelled:
            _refuse_no_classes(root, found)
        masks = _masks(found)
        found = [file for file in found if file.path not in masks]
        notes += _left_out(files, masks, loops)
        others = Counter(_kind(file.path) for file in files if not _is_image(file.path))
        items = [
            Item(file.path.relative_to(root).as_posix(), str(file.path), file.label, file.split)
            for file in found
        ]
        items, told = grouped_by_patient(items, reading)
        if not any(item.group_id for item in items) and not reading.unlabelled:
            items, by_folder = _grouped_by_folder(items, found)
            told = by_folder or told
        return Contents(
            str(root),
            items,
            root.name,
            notes=(*notes, *told),
            groups_from="; ".join(told),
            left_out={**({"segmentation masks": len(masks)} if masks else {}), **others},
        )


def _there_instead(root: Path) -> str:
    """What a folder without images holds that a person may have meant, and what to do with it."""
    there = files_below(root, set())
    if hint := _table_hint(there):
        return hint
    for path in there:
        if (what := what_instead(path)) is not None:
            return f"; {path.relative_to(root)} is {what}"
    return ""


def _table_hint(there: Sequence[Path]) -> str:
    """The table among files that may say the labels, and how to give it."""
    for path in there:
        if path.suffix.lower() in SUFFIXES:
            return f"; if {path.name} says the labels, give {path}"
    for path in there:
        if path.suffix.lower() in _SHEETS:
            return f"; if {path.name} says the labels, save it as CSV and give that"
    return ""


def _kind(path: Path) -> str:
    return f"{path.suffix.lower() or 'other'} files that are no images"


_Folder = tuple[str | None, str | None, Path]
"""(split, label, folder)"""


def _class_folders(root: Path) -> tuple[list[_Folder], list[str]]:
    """Every class folder in natural order, and what was left beside them.

    Splits may lie above the classes or below them.
    """
    top = subfolders(root)
    splits = [folder for folder in top if is_split_name(folder.name)]
    if splits and (len(splits) == len(top) or len(splits) > 1):
        notes = [
            f"the folder {folder.name} beside the splits was left out"
            for folder in top
            if folder not in splits
        ]
        where = str(root)
        _refuse_flat(splits)
        return [
            (split_name(split.name, where), folder.name, folder)
            for split in splits
            for folder in subfolders(split)
        ], notes
    below = {folder: subfolders(folder) for folder in top}
    if top and all(below[f] and all(is_split_name(s.name) for s in below[f]) for f in top):
        return [
            (split_name(split.name, str(folder)), folder.name, split)
            for folder in top
            for split in below[folder]
        ], []
    return [(None, folder.name, folder) for folder in top], []


def _refuse_flat(splits: Sequence[Path]) -> None:
    """LayerhouseError for a split of loose images beside one of class folders, as Kaggle has it."""
    sorted_ones = [folder for folder in splits if subfolders(folder)]
    for folder in splits:
        if (
            folder not in sorted_ones
            and sorted_ones
            and any(map(_is_image, files_below(folder, set())))
        ):
            raise LayerhouseError(
                f"{folder} holds images without class folders, so without labels; give "
                f"{sorted_ones[0]} alone to have splits made of it, or a table with "
                "image_path,label,split"
            )


def _refuse_no_classes(root: Path, found: Sequence[_Found]) -> None:
    """Where folders cannot be classes, as in archives of patients, a table must say the labels."""
    labels = class_order(file.label for file in found if file.label)
    archive = next(_signs_of_an_archive(root, labels, found), None)
    if archive:
        raise LayerhouseError(
            f"{root} {archive}, so its folders are no classes; give a table with "
            "image_path,label,group_id, or --unlabelled"
        )
    if len(labels) > 1:
        return
    inner = subfolders(root / labels[0]) if (root / labels[0]).is_dir() else []
    hint = _table_hint(sorted(path for path in root.iterdir() if path.is_file()))
    if not hint and len(inner) > 1:
        shown = ", ".join(folder.name for folder in inner[:3])
        hint = f"; if {shown} are the classes, give {root / labels[0]}"
    hint = hint or "; where folders are no classes, give a table with image_path,label"
    raise LayerhouseError(
        f"all samples of {root} have the class {labels[0]}; at least two are needed{hint}"
    )


def _signs_of_an_archive(
    root: Path, labels: Sequence[str], found: Sequence[_Found]
) -> Iterator[str]:
    if any(root.glob("DICOMDIR*")):
        yield "holds a DICOMDIR, as what comes from a PACS does"
    if len(labels) > 1 and all(_NO_CLASSES.fullmatch(label) for label in labels):
        yield f"numbers its folders ({', '.join(labels[:3])}{', …' if labels[3:] else ''})"
    for file in found:
        parts = file.below.parent.parts
        if any(re.fullmatch(r"\d+(\.\d+){3,}", part) for part in parts):
            yield f"has folders of studies or series ({file.path.parent.name})"
        if len(parts) > 1 and is_dicom(file.path):
            yield f"lies as patient/study/series ({file.path.relative_to(root).parent})"


def _grouped_by_folder(
    items: list[Item], found: Sequence[_Found]
) -> tuple[list[Item], tuple[str, ...]]:
    """Items with the folder right below their class as the group, where that can be a patient.

    A name that comes back below another class is taken for the same patient: at worst two are kept
    together that need not be.
    """
    if any(len(file.below.parts) < 2 for file in found):
        return items, ()
    names = [file.below.parts[0] for file in found]
    per_class: dict[str | None, set[str]] = {}
    for file, name in zip(found, names, strict=True):
        per_class.setdefault(file.label, set()).add(name)
    few = min(map(len, per_class.values())) < 2
    if few or any(_NO_PATIENTS.fullmatch(name) for name in names):
        return items, ()
    n = len(set(names))
    grouped = [replace(item, group_id=name) for item, name in zip(items, names, strict=True)]
    return grouped, (f"groups are the {n:,} folders below the classes",)


def _left_out(files: Sequence[_Found], masks: set[Path], loops: set[Path]) -> list[str]:
    """What in the folders is no sample, for the person to read."""
    notes = []
    if masks:
        notes.append(f"{len(masks)} segmentation masks of images beside them were left out")
    others = [file.path for file in files if not _is_image(file.path)]
    if others:
        notes.append(f"{len(others)} files that are no images were left out, first {others[0]}")
    notes += [f"the link {loop} leads back to a folder above it" for loop in sorted(loops)]
    return notes


def _is_image(path: Path) -> bool:
    """By its name, or by its content: archives write DICOM files without any suffix.

    Images that are packed count too: to pass them over would leave a part of a class out.
    """
    return path.suffix.lower() in IMAGE_SUFFIXES or is_archive(path) or is_image_file(path)


def _masks(found: Sequence[_Found]) -> set[Path]:
    """Segmentations of images that are there too.

    They are named `<other file>_mask` or `<other file>_mask_<n>`, as BUSI ships them, or lie in a
    folder of masks within the class, under the name of an image in a folder beside it.
    """
    stems = {file.path.with_suffix("") for file in found}
    beside = {
        (file.path.parent.parent, file.path.stem)
        for file in found
        if not _MASKS.fullmatch(file.path.parent.name)
    }
    masks = set()
    for file in found:
        path = file.path
        marked = re.fullmatch(r"(.+?)_(mask|seg|segmentation|gt)(_\d+)?", path.stem)
        image = marked[1] if marked else path.stem
        apart = len(file.below.parts) > 1 and _MASKS.fullmatch(path.parent.name)
        if (marked and path.with_name(image) in stems) or (
            apart and (path.parent.parent, image) in beside
        ):
            masks.add(path)
    return masks
