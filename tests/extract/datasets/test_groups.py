"""Columns of patients that tell nobody apart, and splits of few groups: said aloud or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from extract.datasets import AddOptions, AddResult, ReadOptions, add, add_per_label
from extract.datasets.groups import hashed
from extract.datasets.splits import make_splits
from tests.tables import tables
from tests.warehouse.images.dicom_files import dicom, write
from warehouse.catalogue import dataset
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake

N = 24
Cell = Callable[[int], str]
OWN_GROUPS = "so every image is a group of its own: splits may cut patients, and intervals come out"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of `N` images, no two alike."""
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(N):
        Image.new("L", (6, 5), 10 * number).save(folder / f"{number:02d}.png")
    return folder


def table(images: Path, column: str, cell: Cell) -> Path:
    rows = [f"{n:02d}.png,{'ab'[n % 2]},{cell(n)}" for n in range(N)]
    path = images / "manifest.csv"
    path.write_text("\n".join([f"image_path,label,{column}", *rows]) + "\n")
    return path


def told(result: AddResult) -> str:
    return "\n".join(result.warnings)


@pytest.mark.parametrize("written", ["", "nan", "N/A"])
@pytest.mark.parametrize("column", ["group_id", "PatientID", "patient", "Subject ID"])
def test_an_empty_column_of_patients_is_said_with_what_follows(
    images: Path, lake: Lake, column: str, written: str
) -> None:
    path = table(images, column, lambda _: written)
    said = told(add(lake, "set", path))
    assert f"the column {column} is empty, {OWN_GROUPS}" in said
    assert "--column group_id=COLUMN" in said
    assert OWN_GROUPS not in told(add(lake, "accepted", path, declined()))


def declined() -> AddOptions:
    return AddOptions(reading=ReadOptions(columns={"group_id": "none"}))


@pytest.mark.parametrize("others", ["ANONYMOUS", ""])
def test_a_patient_that_all_images_share_is_said(images: Path, lake: Lake, others: str) -> None:
    path = table(images, "PatientID", lambda n: others if n else "ANONYMOUS")
    said = told(add(lake, "set", path))
    assert f"the column PatientID holds nothing but ANONYMOUS, {OWN_GROUPS}" in said
    assert OWN_GROUPS not in told(add(lake, "accepted", path, declined()))


@pytest.mark.parametrize("spelled", ["P0", "p0 ", "p  0"])
def test_patients_that_only_case_or_spaces_tell_apart_are_named(
    images: Path, lake: Lake, spelled: str
) -> None:
    path = table(
        images, "group_id", lambda n: spelled if n == 5 else f"p{' ' * ('  ' in spelled)}{n // 3}"
    )
    said = told(add(lake, "set", path))
    assert ("differ in case or spaces alone (groups are the column" in said) == (spelled != "p0 ")


def test_patients_that_only_zeros_in_front_tell_apart_are_named(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda n: "007" if n == 5 else f"{n // 3 + 6}")
    assert "the groups 7 and 007 differ in zeros in front alone (groups are the column" in told(
        add(lake, "set", path)
    )


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ("P001", "P1", True),
        ("P001", "1", True),
        ("patient-07", "Patient 7", True),
        ("sub-01", "sub01", True),
        ("Mu\u0308ller", "M\u00fcller", True),
        ("site1-12", "site1-2", False),
        ("1-11", "11-1", False),
        ("A10", "A1", False),
        ("P10", "P100", False),
        ("S7", "P7", False),
    ],
)
def test_patients_that_are_written_in_two_ways_are_named(
    images: Path, lake: Lake, one: str, other: str, named: bool
) -> None:
    names = [one, other, *(f"other{'abcdef'[n]}" for n in range(6))]
    path = table(images, "group_id", lambda n: names[n // 3])
    said = told(add(lake, "set", path))
    assert (f"the groups {one} and {other} differ in" in said) == named


def test_a_column_that_is_no_patient_s_is_not_spoken_of(images: Path, lake: Lake) -> None:
    path = table(images, "site", lambda _: "one")
    assert "group" not in told(add(lake, "set", path)).replace("test has only 4 groups", "")


@pytest.mark.parametrize("split", [False, True])
def test_one_group_over_everything_is_refused(images: Path, lake: Lake, split: bool) -> None:
    path = table(images, "group_id", lambda _: "ANONYMOUS")
    if split:
        lines = path.read_text().splitlines()
        parts = ["split", *(("train", "val", "test")[n // 2 % 3] for n in range(N))]
        path.write_text("\n".join(map(",".join, zip(lines, parts, strict=True))))
    with pytest.raises(
        LayerhouseError,
        match=r"all 24 images are in one group, ANONYMOUS .*column group_id\).*group_id=none",
    ):
        add(lake, "set", path)
    assert add(lake, "set", path, declined()).n_samples == N


def test_one_group_over_all_findings_is_refused(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda _: "ANONYMOUS")
    with pytest.raises(LayerhouseError, match="all 24 images are in one group"):
        add_per_label(lake, "set", path)


def test_one_group_is_no_fault_of_images_without_labels(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda _: "ANONYMOUS")
    result = add(lake, "set", path, AddOptions(reading=ReadOptions(unlabelled=True)))
    assert "the group ANONYMOUS holds 24 of 24 images" in told(result)


def test_a_column_of_few_patients_names_itself(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda n: f"p{n // 3}" if n < 6 else "")
    assert (
        "18 of 24 images name no group and are groups of their own, first 06.png (groups are the "
        "column group_id)"
    ) in told(add(lake, "set", path))


def test_numbers_that_a_spreadsheet_rounded_are_said(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda n: f"{n // 2}.23457E+11")
    assert "the group 0.23457E+11 (groups are the column group_id) is a number that a spr" in told(
        add(lake, "set", path)
    )


def test_a_name_for_many_patients_is_said(images: Path, lake: Lake) -> None:
    path = table(images, "group_id", lambda n: f"p{n // 2}" if n < 10 else "unknown")
    said = told(add(lake, "set", path))
    assert "the group unknown holds 14 of 24 images (groups are the column group_id)" in said
    assert "leave it empty where it stands for them" in said


@pytest.mark.parametrize(
    ("patient", "what"),
    [
        (lambda _: None, "is empty in all 24"),
        (lambda _: "  ", "is empty in all 24"),
        (lambda _: "ANONYMOUS", "is the same in all 24"),
        (lambda n: "ANONYMOUS" if n else "", "is the same or empty in all 24"),
    ],
)
@pytest.mark.parametrize("as_table", [False, True])
def test_dicom_of_one_patient_for_all_is_said(
    tmp_path: Path, lake: Lake, patient: Callable[[int], Any], what: str, as_table: bool
) -> None:
    root = tmp_path / "ct"
    rows = ["image_path,label"]
    for number in range(N):
        label, name = "ab"[number % 2], patient(number)
        scan = dicom(np.full((8, 8), number, "<u2"), WindowCenter=9, WindowWidth=30)
        if name is not None:
            scan.PatientID = name
        write(root / label / f"{number:02d}", scan)
        rows.append(f"{label}/{number:02d},{label}")
    if as_table:
        (root / "manifest.csv").write_text("\n".join(rows))
    result = add(lake, "ct", root)
    assert f"the PatientID (0010,0020) {what} DICOM files, {OWN_GROUPS}" in told(result)
    assert "a table of the files with a column group_id" in told(result)
    assert "every one of the 24 images" in result.summary.facts["Groups"]


def scans(root: Path, **elements: Callable[[int], str]) -> Path:
    """`N` DICOM files of two classes, with elements made from their number."""
    for n in range(N):
        scan = dicom(np.full((8, 8), n, "<u2"), WindowCenter=9, WindowWidth=30)
        for name, value in elements.items():
            setattr(scan, name, value(n))
        write(root / "ab"[n % 2] / f"{n:02d}", scan)
    return root


def groups_of(lake: Lake, name: str) -> list[str]:
    with tables(lake) as warehouse:
        samples = dataset(warehouse, name).samples
    return [group for _, group in sorted(samples.select("sample_id", "group_id").iter_rows())]


@pytest.mark.parametrize("patient", ["", "ANON"])
def test_studies_are_groups_where_no_patient_id_tells_apart(
    tmp_path: Path, lake: Lake, patient: str
) -> None:
    root = scans(
        tmp_path / "ct", PatientID=lambda _: patient, StudyInstanceUID=lambda n: f"1.2.{n // 4}"
    )
    result = add(lake, "ct", root)
    assert "so groups are their 6 studies (StudyInstanceUID): who was examined" in told(result)
    expected = [hashed(f"1.2.{n // 4}", "study") for n in (*range(0, N, 2), *range(1, N, 2))]
    assert groups_of(lake, "ct") == expected
    plain = AddOptions(reading=ReadOptions(plain_patient_ids=True))
    add(lake, "plain", root, plain)
    assert set(groups_of(lake, "plain")) == {f"1.2.{n}" for n in range(6)}


def test_a_file_without_patient_is_of_the_patient_of_its_study(tmp_path: Path, lake: Lake) -> None:
    root = scans(
        tmp_path / "ct",
        PatientID=lambda n: "" if n % 4 == 3 or n >= 20 else f"p{n // 4}",
        StudyInstanceUID=lambda n: f"1.2.{n // 4}",
    )
    result = add(lake, "ct", root)
    assert "groups are the 5 PatientIDs of the DICOM files; 9 have none and are" in told(result)
    of_patients = {hashed(f"p{n}") for n in range(5)}
    assert set(groups_of(lake, "ct")) == {*of_patients, hashed("1.2.5", "study")}


@pytest.mark.parametrize("study", [lambda n: f"1.2.{n}", lambda _: "1.2.3", lambda _: ""])
def test_studies_that_tell_nothing_are_no_groups(
    tmp_path: Path, lake: Lake, study: Callable[[int], str]
) -> None:
    root = scans(tmp_path / "ct", StudyInstanceUID=study)
    assert f"is empty in all 24 DICOM files, {OWN_GROUPS}" in told(add(lake, "ct", root))


def test_a_column_of_parquet_and_of_a_saved_dataset_is_said_too(images: Path, lake: Lake) -> None:
    names = [f"{number:02d}.png" for number in range(N)]
    labels = ["ab"[number % 2] for number in range(N)]
    nobody = pa.nulls(N, pa.float64())
    path = images / "manifest.parquet"
    pq.write_table(pa.table({"image_path": names, "label": labels, "patient": nobody}), path)
    assert "the column patient is empty" in told(add(lake, "set", path))
    hf = pytest.importorskip("datasets", reason="the extra layerhouse[datasets] is not installed")
    hf.disable_progress_bars()
    features = hf.Features(
        {
            "image": hf.Image(),
            "label": hf.ClassLabel(names=["a", "b"]),
            "patient": hf.Value("string"),
        }
    )
    pictures = [Image.open(images / name) for name in names]
    rows = {"image": pictures, "label": [n % 2 for n in range(N)], "patient": ["ANON"] * N}
    hf.Dataset.from_dict(rows, features=features).save_to_disk(images / "saved")
    assert "the column patient holds nothing but ANON" in told(add(lake, "hf", images / "saved"))


def test_three_groups_are_enough_for_three_splits_and_two_are_not(images: Path, lake: Lake) -> None:
    result = add(lake, "three", table(images, "group_id", lambda n: f"p{n // 8}"))
    assert sorted(result.split_sizes.values()) == [8, 8, 8]
    with pytest.raises(LayerhouseError, match=r"no image would be left for .* groups of them"):
        add(lake, "two", table(images, "group_id", lambda n: f"p{n // 12}"))


def test_splits_are_filled_only_where_one_would_be_empty() -> None:
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    for n in (3, 4, 5, 9, 40):
        labels = [["ab"[number % 2]] for number in range(4 * n)]
        splits = make_splits(labels, [str(number // 4) for number in range(4 * n)], shares, 0)
        assert set(splits) == set(shares)
        assert splits.count("train") >= max(splits.count("val"), splits.count("test"))
