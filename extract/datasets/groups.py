"""Groups: samples that belong together (a patient, a field of view), which no split parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from extract.datasets.columns import Roles, names_patients
from extract.datasets.source import Contents, Item, ReadOptions
from extract.datasets.tables import LabelTable, is_missing, text
from warehouse.errors import LayerhouseError
from warehouse.images import is_dicom


class Joined:
    """Sets of names, each called by the one that the others were joined into."""

    def __init__(self) -> None:
        self._into: dict[str, str] = {}

    def root(self, name: str) -> str:
        """What the set of a name is called."""
        into = self._into
        while (above := into.setdefault(name, name)) != name:
            into[name] = into[above]  # a shorter way for the next who asks
            name = above
        return name

    def join(self, name: str, into: str) -> None:
        self._into[self.root(name)] = self.root(into)


def joined_units(groups: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """Groups joined where they share an identical image, so that no copy crosses a made split."""
    joined = Joined()
    for group, image in zip(groups, hashes, strict=True):
        joined.join(f"image {image}", into=f"group {group}")
    return [joined.root(f"group {group}") for group in groups]


_UNGROUPED = (
    "so every image is a group of its own: splits may cut patients, and intervals come out too "
    "narrow"
)


def refuse_one_group(contents: Contents, groups: Sequence[str]) -> None:
    """LayerhouseError where labelled images are all of one group, so that no split can be made."""
    labelled = any(item.label is not None or item.findings for item in contents.items)
    if len(groups) < 2 or len(set(groups)) > 1 or not labelled:
        return
    raise LayerhouseError(
        f"all {len(groups):,} images are in one group, {groups[0]} "
        f"({contents.groups_from or 'as the source says'}), which no split may cut, so that none "
        "would be left for val and test; "
        "--column group_id=COLUMN names another column of a table, and --column group_id=none "
        "makes every image a group of its own"
    )


def patients_not_told(
    table: LabelTable, roles: Roles, reading: ReadOptions, items: Sequence[Item]
) -> tuple[str, ...]:
    """What a person should know of a column of patients that tells none of them apart.

    Nothing where images have groups all the same, or a person said that there is no such column.
    """
    declined = "group_id" in reading.columns and roles.group_id is None
    if declined or any(item.group_id for item in items):
        return ()
    named = [roles.group_id] if roles.group_id else filter(names_patients, table.columns)
    for column in named:
        held = {text(cell) for cell in table.cells(column) if not is_missing(cell)}
        if len(held) < 2:
            what = f"holds nothing but {held.pop()}" if held else "is empty"
            return (
                f"the column {column} {what}, {_UNGROUPED}; --column group_id=COLUMN names the "
                "column that tells patients apart, --column group_id=none says that there is none",
            )
    return ()


_IN_PATHS = re.compile(r"(patient|pat|subject|subj|sub|p)[-_ ]?\d{2,}", re.IGNORECASE)


_IN_NAMES = re.compile(
    r"((patient|pat|subject|subj|sub|person)[-_ ]?\d+|(p|pt)[-_ ]?\d{2,})(?!\d)[-_ .].*",
    re.IGNORECASE,
)


def patients_in_names(items: Sequence[Item]) -> tuple[str, ...]:
    """What to say where names of files name patients (`person1_virus_6.jpeg`) and nothing groups.

    They are not taken for groups, since nobody says that equal numbers are the same patient: in
    Kermany's X-rays they are not.
    """
    if any(item.group_id for item in items):
        return ()
    found = [_IN_NAMES.fullmatch(PurePosixPath(item.sample_id).name) for item in items]
    known = {match[1] for match in found if match}
    n = sum(match is not None for match in found)
    if not 1 < len(known) < n or 2 * n < len(items):
        return ()
    first = next(match[0] for match in found if match)
    return (
        f"{n:,} files are named like patients ({first}), which are not taken for groups; where "
        "equal numbers are one patient, a table with image_path,label,group_id says so",
    )


def grouped_by_path(items: list[Item], reading: ReadOptions) -> tuple[list[Item], str]:
    """Items of a table with the patient that their paths name as the group, as CheXpert's do.

    Beside them what the groups are, empty where nothing was done: where a group is known already,
    a path names none, or none comes back.
    """
    if "group_id" in reading.columns or any(item.group_id for item in items):
        return items, ""
    named = [
        next(filter(_IN_PATHS.fullmatch, reversed(PurePosixPath(item.sample_id).parts[:-1])), None)
        for item in items
    ]
    known = {name for name in named if name}
    if None in named or not 1 < len(known) < len(items):
        return items, ""
    grouped = [replace(item, group_id=name) for item, name in zip(items, named, strict=True)]
    return grouped, f"groups are the {len(known):,} patients that paths name ({named[0]}, …)"


def grouped_by_patient(
    items: list[Item], reading: ReadOptions
) -> tuple[list[Item], tuple[str, ...]]:
    """Items with DICOM's PatientID as the group where they have none, and what to say of it.

    A file without one belongs to the patient of its study (StudyInstanceUID), which is of one
    patient, and else to its study. Ids are hashed unless `reading` asks for them as they are: equal
    ids stay equal, and nobody reads a name in a report. (Whoever has a list of ids can still hash
    it and compare.)
    """
    dicom = [item for item in items if is_dicom(item.uri)]
    if not dicom or "group_id" in reading.columns or any(item.group_id for item in items):
        return items, ()
    headers = {item.sample_id: _header(item.uri) for item in dicom}
    patients = {patient for patient, _ in headers.values() if patient}
    studies = {study for _, study in headers.values() if study}
    if len(patients) > 1:
        known = {study: patient for patient, study in headers.values() if patient and study}
        told = f"groups are the {len(patients):,} PatientIDs of the DICOM files"
        if n_without := sum(not patient for patient, _ in headers.values()):
            told += f"; {n_without:,} have none and are grouped by their study (StudyInstanceUID)"
    else:  # anonymised to one name: says nothing about patients
        n_empty = sum(not patient for patient, _ in headers.values())
        what = "the same" + " or empty" * (n_empty > 0) if patients else "empty"
        told = f"the PatientID (0010,0020) is {what} in all {len(dicom):,} DICOM files"
        advice = "a table of the files with a column group_id says which patient each is of"
        if not 1 < len(studies) < len(dicom):
            return items, (f"{told}, {_UNGROUPED}; {advice}",)
        headers = {name: (None, study) for name, (_, study) in headers.items()}
        known = {}
        told = (
            f"{told}, so groups are their {len(studies):,} studies (StudyInstanceUID): who was "
            f"examined twice may lie in two splits; {advice}"
        )
    groups = {
        name: _group(patient or known.get(study or ""), study, reading.plain_patient_ids)
        for name, (patient, study) in headers.items()
    }
    return [replace(item, group_id=groups.get(item.sample_id)) for item in items], (told,)


def _group(patient: str | None, study: str | None, is_plain: bool) -> str | None:
    if patient:
        return patient if is_plain else hashed(patient)
    if study:
        return study if is_plain else hashed(study, "study")
    return None


def hashed(identity: str, kind: str = "patient") -> str:
    """A name for a patient, or a study, that is the same everywhere and tells nobody who it is."""
    return f"{kind}-{hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()}"


_ASKED = ("PatientID", "StudyInstanceUID")


def _header(path: str) -> tuple[str | None, str | None]:
    """A DICOM file's PatientID and StudyInstanceUID, None where it has none."""
    try:
        import pydicom
    except ImportError as error:
        raise LayerhouseError(
            f"{path} is a DICOM file, which needs pydicom: pip install 'layerhouse[dicom]'"
        ) from error
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_ASKED))
    except Exception:  # a file that is no DICOM is reported when all images are decoded
        return None, None
    patient, study = (str(header.get(name) or "").strip() or None for name in _ASKED)
    return patient, study
