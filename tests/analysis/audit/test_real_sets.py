"""Real images that all look alike: what the audit calls a copy was looked at and is one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.audit.duplicates import find_duplicates
from analysis.audit.pictures import read_pictures
from tests.conftest import REAL_DATA

NONE = np.array([], dtype=np.int64)


def _cells(*pairs: str) -> set[tuple[str, ...]]:
    return {tuple(f"BloodImage_{name}" for name in pair.split()) for pair in pairs}


SAME_CELLS = _cells(
    *("00204_obj14_WBC 00277_obj14_WBC", "00205_obj13_WBC 00276_obj12_WBC"),
    *("00237_obj11_WBC 00252_obj09_WBC", "00239_obj04_RBC 00240_obj07_RBC"),
    *("00019_obj02_RBC 00020_obj03_RBC", "00226_obj15_WBC 00261_obj09_WBC"),
    *("00227_obj00_RBC 00260_obj01_RBC", "00228_obj06_RBC 00259_obj01_RBC"),
    *("00229_obj12_WBC 00258_obj01_WBC", "00230_obj04_RBC 00257_obj00_RBC"),
    *("00230_obj10_WBC 00257_obj07_WBC", "00231_obj08_WBC 00256_obj05_WBC"),
    *("00243_obj11_WBC 00250_obj00_WBC", "00244_obj14_WBC 00247_obj13_WBC"),
    *("00248_obj11_WBC 00249_obj01_WBC", "00382_obj13_WBC 00395_obj14_WBC"),
    "00384_obj10_WBC 00393_obj11_WBC",
)
"""Pairs of BCCD from two fields that show one and the same cell, found by this audit."""

SAME_LESION = {("benign_062", "benign_140")}
"""Of BUSI: one view, once without the edge of the probe's field."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "across_groups"),
    [("nih_cxr_pneumonia", set()), ("busi_ultrasound", SAME_LESION), ("bccd_cells", SAME_CELLS)],
)
def test_no_two_patients_are_taken_for_one(name: str, across_groups: set[tuple[str, ...]]) -> None:
    root = REAL_DATA / name
    if not root.exists():
        pytest.skip(f"the images of {name} are not part of the repository")
    with (root / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    small: NDArray[np.uint8] = read_pictures([str(root / row["image_path"]) for row in rows]).small
    names = [row["image_path"] for row in rows]
    links, _ = find_duplicates(small, names, np.zeros(len(rows), dtype=bool), NONE)
    apart = {
        (Path(names[link.first]).stem, Path(names[link.second]).stem)
        for link in links
        if rows[link.first]["group_id"] != rows[link.second]["group_id"]
    }
    assert apart == across_groups
