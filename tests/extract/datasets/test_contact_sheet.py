"""The contact sheet shows what a model is shown: a wrong colour or range is seen on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from extract.datasets.contact_sheet import GAP, IMAGES, TILE, TITLE
from layerhouse.cli import layerhouse
from tests.warehouse.images.dicom_files import dicom, with_palette, write
from warehouse.errors import LayerhouseError

COLOURS = {"cyst": (200, 40, 40), "solid": (40, 60, 200)}


@pytest.fixture
def ultrasound(tmp_path: Path) -> Path:
    """DICOM whose colours stand in a palette: place 7 for one class, place 9 for the other."""
    table = np.zeros((256, 3), "<u2")
    table[7], table[9] = (np.array(colour) * 257 for colour in COLOURS.values())
    for place, label in zip((7, 9), COLOURS, strict=True):
        for number in range(6):
            pixels = np.full((4, 4 + number), place, np.uint8)
            write(tmp_path / "us" / label / f"{number}.dcm", with_palette(dicom(pixels), table))
    return tmp_path / "us"


def run(*words: object) -> str:
    done = CliRunner().invoke(layerhouse, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_add_and_show_write_the_same_sheet_of_true_colours(
    tmp_path: Path, ultrasound: Path
) -> None:
    lake, first, again = tmp_path / "lake", tmp_path / "a.png", tmp_path / "b.png"
    said = run("datasets", "add", "us", ultrasound, "--lake", lake, "--preview", first)
    run("datasets", "show", "us", "--lake", lake, "--preview", again)
    assert first.read_bytes() == again.read_bytes()
    sheet = Image.open(first)
    assert sheet.size == (IMAGES * (TILE + GAP) + GAP, 2 * (TITLE + TILE + GAP) + GAP)
    for row, colour in enumerate(COLOURS.values()):
        for place in range(6):
            middle = (
                GAP + place * (TILE + GAP) + TILE // 2,
                row * (TITLE + TILE + GAP) + GAP + TITLE + TILE // 2,
            )
            assert sheet.getpixel(middle) == colour
    for line in (
        "Groups: every one of the 12 images is its own group",
        "Sizes: 4 × 4 to 9 × 4 pixels",
        "Stored: DICOM PALETTE COLOR, values 40…200",
        "Shown: 8-bit RGB, values 40…200",
    ):
        assert line in said
    assert [line.split() for line in said.splitlines() if line.startswith(("cyst", "solid"))] == [
        ["cyst", "cyst", "4", "1", "1"],
        ["solid", "solid", "4", "1", "1"],
    ]


def test_a_sheet_per_finding_is_one_sheet(tmp_path: Path, ultrasound: Path) -> None:
    out = tmp_path / "sheet.png"
    run(
        "datasets",
        "add",
        "us",
        ultrasound,
        "--per-label",
        "--lake",
        tmp_path / "lake",
        "--preview",
        out,
    )
    assert Image.open(out).height == 4 * (TITLE + TILE + GAP) + GAP


def test_a_sheet_that_cannot_be_written_is_told(tmp_path: Path, ultrasound: Path) -> None:
    out = tmp_path / "no" / "a.png"
    with pytest.raises(LayerhouseError, match=r"us is registered, but cannot write .*a\.png"):
        run("datasets", "add", "us", ultrasound, "--lake", tmp_path / "lake", "--preview", out)
