"""Folders that are no classes, told with the way out before their names become labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from extract.datasets.labels import class_order
from extract.datasets.source import Item
from extract.datasets.sources.hints import table_hint
from extract.datasets.splits import is_split_name
from extract.datasets.tables import MISSING
from extract.datasets.walking import subfolders
from warehouse.errors import LayerhouseError, few
from warehouse.images import is_dicom

_NO_CLASSES = re.compile(
    r"(patient|pat|subject|subj|sub|case|study|series|images?|imgs|part|batch|chunk|shard|folder"
    r"|fold|site)[-_ ]*\d+|(p|s|st|se|im)[-_ ]?\d{3,}|\d{5,}|\d+(\.\d+){3,}"
    r"|\d{4}([-_. ]?\d\d){2}|tcga-\w\w-\w{4}.*|(?=.*\d)[0-9a-f]{8,}",
    re.IGNORECASE,
)
"""Folders that number patients, studies, days or parts of an archive."""

_KINDS = (
    r"images?|imgs?|mask|(.*[-_ ])?masks|labels?|annotations?|data|originals?|raw|processed"
    r"|augment(ed|ations?)|jpe?g|png|tiff?|dicoms?|segment(ed|ations?)|segs?|gts?"
    r"|ground[-_ ]?truths?|gr[ae]y(scale)?|rgb|colou?r|bbox(es)?"
)
_VIEWS = (
    r"l|r|od|os|left|right|frontal|lateral|pa|ap|cc|mlo|axial|coronal|sagittal|anterior|posterior"
    r"|\d+x|x\d+"
)
"""What folders are called that sort files by their kind, and by how an image was taken."""

_GAPS = frozenset(("nan", "-nan", "<na>", "nat", "null", "#n/a"))
"""Of what says that a label is missing, what is no word of a language."""

_SPLIT_WORD = re.compile(r"(?<![a-z])(train|val|valid|test)(ing|idation)?(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """An image and what its folders say of it; `below` is its path within the class folder."""

    path: Path
    label: str | None
    split: str | None
    below: Path


def refuse_no_classes(root: Path, found: Sequence[Found]) -> None:
    """LayerhouseError where folders cannot be classes, so that a table must say the labels."""
    labels = class_order(file.label for file in found if file.label)
    _refuse_names(root, labels)
    sign = next(_signs(root, labels, found), None)
    if sign:
        raise LayerhouseError(
            f"{root} {sign}, so its folders are no classes; give a table with "
            "image_path,label,group_id, or --unlabelled"
        )
    if len(labels) == 1:
        raise LayerhouseError(
            f"all samples of {root} have the class {labels[0]}; at least two are needed"
            f"{_meant_instead(root, labels[0], found)}"
        )


def _refuse_names(root: Path, labels: Sequence[str]) -> None:
    """LayerhouseError for folders that a program called as it writes a missing label, as `nan`, and
    for names that hold line breaks and the like.
    """
    for label in labels:
        if label.casefold() in _GAPS:
            raise LayerhouseError(
                f"the folder {label} of {root} is called as programs write that there is no label; "
                "take it out, or call it as its class is called"
            )
        if any(unicodedata.category(sign) == "Cc" for sign in label):
            raise LayerhouseError(
                f"the folder {label!a} of {root} holds a line break or another sign that "
                "nobody sees in its name; rename it"
            )


def missing_like(found: Sequence[Found]) -> tuple[str, ...]:
    """What to say of classes that are called as a missing label is, and may be meant."""
    labels = class_order(file.label for file in found if file.label)
    return tuple(
        f"the class {label} is called as many programs write that there is no label; if that is "
        "what it means, take its folder out"
        for label in labels
        if label.casefold() in MISSING
    )


def _meant_instead(root: Path, label: str, found: Sequence[Found]) -> str:
    """What may be the classes where all images are of one."""
    if hint := table_hint(sorted(path for path in root.iterdir() if path.is_file())):
        return hint
    place = root / label
    inner = [folder.name for folder in subfolders(place)] if place.is_dir() else []
    while len(inner) == 1 and not is_split_name(inner[0]):  # folders in folders, as of archives
        if not (below := subfolders(place / inner[0])):
            break
        place, inner = place / inner[0], [folder.name for folder in below]
    splits = [name for name in inner if is_split_name(name)]
    if len(splits) > 1 or (splits and splits == inner):
        return f"; its splits are in a folder of their own, so give {place}"
    if len(inner) > 1:
        return f"; if {', '.join(inner[:3])} are the classes, give {place}"
    between = class_order(file.below.parts[0] for file in found if len(file.below.parts) > 1)
    if not inner and len(between) > 1:
        return (
            f"; if {', '.join(between[:3])} are the classes, move them out of the folders {label}, "
            "which lie between the splits and them"
        )
    return "; where folders are no classes, give a table with image_path,label"


def _signs(root: Path, labels: Sequence[str], found: Sequence[Found]) -> Iterator[str]:
    """Why folders can be no classes, in words that follow the name of their folder."""
    shown = f"({few(labels, 3)})"
    if any(root.glob("DICOMDIR*")):
        yield "holds a DICOMDIR, as what comes from a PACS does"
    if len(labels) > 1 and all(_NO_CLASSES.fullmatch(label) for label in labels):
        yield f"numbers its folders {shown}"
    if len(labels) > 1 and all(re.fullmatch(_KINDS, label, re.IGNORECASE) for label in labels):
        yield f"sorts its files by their kind {shown}"
    words = [_SPLIT_WORD.search(label) for label in labels]
    if all(words) and len({word[1].lower() for word in words if word}) > 1:
        yield f"has splits for classes {shown}, which have to be called train, val and test"
    yield from _classes_below(labels, found)
    for file in found:
        parts = file.below.parent.parts
        if any(re.fullmatch(r"\d+(\.\d+){3,}", part) for part in parts):
            yield f"has folders of studies or series ({file.path.parent.name})"
        if len(parts) > 1 and is_dicom(file.path):
            yield f"lies as patient/study/series ({file.path.relative_to(root).parent})"


def _classes_below(labels: Sequence[str], found: Sequence[Found]) -> Iterator[str]:
    """Folders that come back in every class, as classes do below hospitals, folds and scanners."""
    below: dict[str, set[str]] = {label: set() for label in labels}
    for file in found:
        if file.label is None or len(file.below.parts) < 2:
            return
        below[file.label].add(file.below.parts[0])
    first = next(iter(below.values()), set())
    if len(labels) < 2 or len(first) < 2 or any(names != first for names in below.values()):
        return
    known = re.compile(f"{_KINDS}|{_VIEWS}|.*\\d.*", re.IGNORECASE)
    if not any(known.fullmatch(name) for name in first):
        names = class_order(first)
        yield f"holds the same folders ({', '.join(names[:3])}) in each of {', '.join(labels[:3])}"


def deeper_folders(found: Sequence[Found]) -> tuple[str, ...]:
    """What to say of folders deep below the classes, none of which was taken for a patient."""
    deep = next((file for file in found if len(file.below.parts) > 2), None)
    if deep is None:
        return ()
    return (
        f"the folders {deep.below.parent} below the class {deep.label}, and those of others, are "
        "no groups; if one of them is a patient, a table with image_path,label,group_id says so",
    )


def grouped_by_folder(
    items: list[Item], found: Sequence[Found]
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
    no_patient = re.compile(f"{_KINDS}|{_VIEWS}", re.IGNORECASE)
    if few or any(no_patient.fullmatch(name) for name in names):
        return items, ()
    n = len(set(names))
    grouped = [replace(item, group_id=name) for item, name in zip(items, names, strict=True)]
    return grouped, (f"groups are the {n:,} folders below the classes",)
