"""Groups: samples that belong together (a patient, a field of view), which no split parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from extract.datasets.source import Item
from warehouse.errors import LayerhouseError
from warehouse.images import DICOM_SUFFIXES


def joined_units(groups: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """Groups joined where they share an identical image, so that no copy crosses a made split."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for group, image in zip(groups, hashes, strict=True):
        parent[root(f"image {image}")] = root(f"group {group}")
    return [root(f"group {group}") for group in groups]


def grouped_by_patient(items: list[Item]) -> list[Item]:
    """DICOM images with their PatientID as the group, unless all were given one and the same."""
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
