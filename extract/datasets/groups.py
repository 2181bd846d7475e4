"""Groups: samples that belong together (a patient, a field of view), which no split parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from extract.datasets.source import Item, ReadOptions
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


def grouped_by_patient(
    items: list[Item], reading: ReadOptions
) -> tuple[list[Item], tuple[str, ...]]:
    """Items with DICOM's PatientID as the group where they have none, and what to say of it.

    The id is hashed unless `reading` asks for it as it is: equal ids stay equal, and nobody reads a
    name in a report. (Whoever has a list of ids can still hash it and compare.)
    """
    dicom = [item for item in items if is_dicom(item.uri)]
    if not dicom or any(item.group_id for item in items):
        return items, ()
    patients = {item.sample_id: _patient(item.uri) for item in dicom}
    known = {patient for patient in patients.values() if patient}
    if len(known) < 2:  # anonymised to one name: says nothing about patients
        name = "the same" if known else "no"
        return items, (f"DICOM files name {name} PatientID: every image is a group of its own",)
    groups = {
        name: patient if reading.plain_patient_ids or patient is None else hashed(patient)
        for name, patient in patients.items()
    }
    grouped = [replace(item, group_id=groups.get(item.sample_id)) for item in items]
    return grouped, (f"groups are the {len(known):,} PatientIDs of the DICOM files",)


def hashed(patient: str) -> str:
    """A name for a patient that is the same everywhere and tells nobody who it is."""
    return f"patient-{hashlib.blake2b(patient.encode(), digest_size=6).hexdigest()}"


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
