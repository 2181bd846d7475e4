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

SAME_CELLS = {
    ("BloodImage_00204_obj14_WBC", "BloodImage_00277_obj14_WBC"),
    ("BloodImage_00205_obj13_WBC", "BloodImage_00276_obj12_WBC"),
    ("BloodImage_00237_obj11_WBC", "BloodImage_00252_obj09_WBC"),
    ("BloodImage_00239_obj04_RBC", "BloodImage_00240_obj07_RBC"),
}
"""Pairs of BCCD from two fields that show one and the same cell, found by this audit."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "across_groups"),
    [("nih_cxr_pneumonia", set()), ("busi_ultrasound", set()), ("bccd_cells", SAME_CELLS)],
)
def test_no_two_patients_are_taken_for_one(name: str, across_groups: set[tuple[str, str]]) -> None:
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
