"""A folder of classes: `root/<class>/…` or `root/<split>/<class>/…`, images at any depth below.

DICOM files count as images too; their PatientID becomes the group, so that splits keep patients
whole. Elsewhere a folder per patient below the classes does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from extract.datasets.groups import grouped_by_patient, patients_in_names
from extract.datasets.source import Contents, Item, ReadOptions, SourceAsAsked
from extract.datasets.sources.folder_checks import (
    Found,
    deeper_folders,
    grouped_by_folder,
    missing_like,
    refuse_no_classes,
)
from extract.datasets.sources.hints import table_hint
from extract.datasets.splits import is_split_name, split_name
from extract.datasets.tables import SUFFIXES
from extract.datasets.walking import files_below, is_system, subfolders
from warehouse.errors import LayerhouseError
from warehouse.images import holds_numbers, is_archive, is_image_file, what_instead

IMAGE_SUFFIXES = {
    *(".dcm", ".dicom"),
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    *(".apng", ".avif", ".dib", ".icns", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".pbm", ".pcx"),
    *(".pfm", ".psd", ".sgi", ".tga"),
}

_MASKS = re.compile(
    r"(.*[-_ ])?masks?|labels?|annotations?|segmentations?|segs?|gts?|ground[-_ ]?truths?",
    re.IGNORECASE,
)
"""Folders below a class that hold segmentations."""
_MARKED = re.compile(r"(.+?)[-_](mask|seg|segmentation|gt)(_\d+)?")
"""Names of segmentations."""
_ALONE = re.compile(r"(mask|seg|segmentation|gt|label)s?", re.IGNORECASE)
"""The same, in a folder of one case."""
_CASE = re.compile(r"(.+)[-_].+")
"""Names of the pictures of a case, which begin as it is called."""


class ClassFolders(SourceAsAsked):
    """Any folder that no other source knows; it must hold images in a folder per class."""

    def recognises(self, typed: str) -> bool:
        return Path(typed).expanduser().is_dir()

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        root = Path(typed).expanduser().absolute()
        if not any(root.iterdir()):
            raise LayerhouseError(f"{root} is empty")
        folders, notes = ([(None, None, root)], []) if reading.unlabelled else _class_folders(root)
        loops: set[Path] = set()
        files = [
            Found(path, label, split, path.relative_to(folder))
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
            refuse_no_classes(root, found)
            notes += missing_like(found)
        masks = _masks(found)
        found = [file for file in found if file.path not in masks]
        notes += _left_out(files, masks, loops)
        notes += _beside_classes(root, folders, files)
        others = Counter(_kind(file.path) for file in files if not _is_image(file.path))
        items = [
            Item(file.path.relative_to(root).as_posix(), str(file.path), file.label, file.split)
            for file in found
        ]
        items, told = grouped_by_patient(items, reading)
        if not any(item.group_id for item in items) and not reading.unlabelled:
            items, by_folder = grouped_by_folder(items, found)
            told = by_folder or told
            notes += () if by_folder else (*deeper_folders(found), *patients_in_names(items))
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
    if hint := table_hint(there):
        return hint
    for path in there:
        if (what := what_instead(path)) is not None:
            return f"; {path.relative_to(root)} is {what}"
    unknown = None if any(map(_is_image, there)) else next(filter(holds_numbers, there), None)
    if unknown is None:
        return ""
    shown = unknown.relative_to(root)
    return f"; {shown} is of no kind that is read here; save it as PNG, TIFF, DICOM or NIfTI"


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
        named = {folder.name: split_name(folder.name, where) for folder in splits}
        notes += [
            f"the folders {one} and {other} are both the split {named[one]}"
            for one, other in combinations(named, 2)
            if named[one] == named[other]
        ]
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


def _left_out(files: Sequence[Found], masks: set[Path], loops: set[Path]) -> list[str]:
    """What in the folders is no sample, for the person to read."""
    notes = []
    if masks:
        notes.append(f"{len(masks)} segmentation masks of images beside them were left out")
    others = [file.path for file in files if not _is_image(file.path)]
    if others:
        notes.append(f"{len(others)} files that are no images were left out, first {others[0]}")
    notes += [f"the link {loop} leads back to a folder above it" for loop in sorted(loops)]
    return notes


def _beside_classes(root: Path, folders: Sequence[_Folder], files: Sequence[Found]) -> list[str]:
    """What lies where only folders of classes should, and classes that hold nothing."""
    above = sorted({root, *(folder.parent for _, label, folder in folders if label)})
    loose = [path for place in above for path in place.iterdir() if not is_system(path.name)]
    loose = sorted(path for path in loose if path.is_file() or not path.exists())
    notes = [f"the link {path} leads nowhere" for path in loose if not path.exists()]
    images = [path for path in loose if path.exists() and _is_image(path)]
    if any(label for _, label, _ in folders) and images:
        notes.append(
            f"{len(images):,} images beside the folders of classes were left out, first {images[0]}"
        )
    read = {file.path for file in files}
    tables = [path for path in loose if path.suffix.lower() in SUFFIXES and path not in read]
    if tables:  # some folders have one in JSON for each image
        n = len(tables) - 1
        were, it = (f"and {n:,} more tables were", "one") if n else ("was", "it")
        notes.append(
            f"{tables[0]} {were} not read, since folders say the labels; give {it} alone if it does"
        )
    held = {(file.split, file.label) for file in files if _is_image(file.path)}
    notes += [
        f"the folder {folder} holds no images"
        for split, label, folder in folders
        if label and (split, label) not in held
    ]
    return notes


def _is_image(path: Path) -> bool:
    """By its name, or by its content: archives write DICOM files without any suffix.

    Images that are packed count too: to pass them over would leave a part of a class out.
    """
    return path.suffix.lower() in IMAGE_SUFFIXES or is_archive(path) or is_image_file(path)


def _stem(path: Path) -> str:
    """A file's name without its suffix; that of packed volumes is in two parts."""
    return Path(path.stem).stem if path.name.lower().endswith(".nii.gz") else path.stem


def _masks(found: Sequence[Found]) -> set[Path]:
    """Segmentations of images that are there too.

    They are named `<other file>_mask` or `<other file>_mask_<n>`, as BUSI ships them, or
    `<case>_seg` beside `<case>_t1`, as BraTS does, or `mask` in the folder of a case, or lie in a
    folder of masks within the class, under the name of an image in a folder beside it.
    """
    stems = {file.path.with_name(_stem(file.path)) for file in found}
    plain = (stem for stem in stems if not _MARKED.fullmatch(stem.name))
    cases = {stem.with_name(case[1]) for stem in plain if (case := _CASE.fullmatch(stem.name))}
    cases |= stems
    beside = {
        (file.path.parent.parent, _stem(file.path))
        for file in found
        if not _MASKS.fullmatch(file.path.parent.name)
    }
    of_a_case = [file for file in found if len(file.below.parts) > 1]
    others = {file.path.parent for file in of_a_case if not _ALONE.fullmatch(_stem(file.path))}
    masks = {
        file.path
        for file in of_a_case
        if _ALONE.fullmatch(_stem(file.path)) and file.path.parent in others
    }
    for file in found:
        path = file.path
        marked = _MARKED.fullmatch(_stem(path))
        image = marked[1] if marked else _stem(path)
        apart = len(file.below.parts) > 1 and _MASKS.fullmatch(path.parent.name)
        pictured = stems if marked is None or marked[2] == "mask" else cases
        if (marked and path.with_name(image) in pictured) or (
            apart and (path.parent.parent, image) in beside
        ):
            masks.add(path)
    return masks
