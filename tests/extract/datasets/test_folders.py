"""Folders as archives, systems and people leave them."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from extract.datasets import AddOptions, add, add_per_label
from extract.datasets.groups import hashed
from extract.datasets.labels import label_warnings, spelled
from extract.datasets.reading import read_source
from extract.datasets.source import Contents, ReadOptions
from extract.replies import ClassNames
from extract.replies.parsing import parse_reply
from layerhouse.cli import main
from tests.tables import tables
from tests.warehouse.images.dicom_files import dicom, write
from warehouse.catalogue import dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image
from warehouse.lake.lake import Lake


def images(root: Path, *folders: str, n: int = 2, ending: str = "png") -> Path:
    """`n` small images below each folder, no two alike."""
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(n):
            shade = (number * n + index) % 256
            Image.new("L", (6 + number, 5), shade).save(root / folder / f"{index}.{ending}")
    return root


def read(root: Path, **said: Any) -> Contents:
    return read_source(str(root), ReadOptions(**said))


def seen(contents: Contents) -> set[tuple[str | None, str | None]]:
    return {(item.split, item.label) for item in contents.items}


BOTH = {(split, label) for split in ("train", "val", "test") for label in ("NORMAL", "PNEUMONIA")}


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Train", "Validation", "Test"),
        ("Training", "valid", "Testing"),
        ("train_set", "val-data", "test images"),
    ],
)
@pytest.mark.parametrize("junk", ["__MACOSX", ".ipynb_checkpoints", "@eaDir", "$RECYCLE.BIN"])
def test_splits_beside_what_systems_leave_are_splits(
    tmp_path: Path, names: Sequence[str], junk: str
) -> None:
    root = images(tmp_path, *(f"{n}/{c}" for n in names for c in ("NORMAL", "PNEUMONIA")))
    images(root, f"{junk}/{names[0]}/NORMAL", f"{names[0]}/{junk}")
    for place in (root, root / names[0] / "NORMAL"):
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._0.png"):
            (place / name).write_bytes(b"\0\5\x16\7")
    contents = read(root)
    assert seen(contents) == BOTH
    assert contents.notes == ()


def test_other_folders_beside_splits_are_left_out_and_said(tmp_path: Path) -> None:
    classes = ("NORMAL", "PNEUMONIA")
    root = images(tmp_path, *(f"{n}/{c}" for n in ("train", "val", "test") for c in classes))
    images(root, "chest_xray/train/NORMAL")  # the archive has a copy of itself inside
    contents = read(root)
    assert seen(contents) == BOTH
    assert contents.notes == ("the folder chest_xray beside the splits was left out",)


def test_splits_may_lie_below_the_classes_and_one_may_be_a_class(tmp_path: Path) -> None:
    root = images(
        tmp_path / "a", "NORMAL/train", "NORMAL/test", "PNEUMONIA/train", "PNEUMONIA/test"
    )
    assert seen(read(root)) == {pair for pair in BOTH if pair[0] != "val"}
    vehicles = images(tmp_path / "b", "train", "car", "ship")
    assert seen(read(vehicles)) == {(None, "train"), (None, "car"), (None, "ship")}


@pytest.mark.parametrize(
    ("folders", "groups"),
    [
        (("covid/P1", "covid/P2", "normal/P3", "normal/P4"), {"P1", "P2", "P3", "P4"}),
        (("covid/P1/s1", "covid/P1/s2", "covid/P2/s1", "normal/P1/s1", "normal/P3/s1"), None),
        (("covid/40X", "covid/100X", "normal/40X", "normal/100X"), set()),
        (("covid/images", "covid/masks", "normal/images", "normal/masks"), set()),
        (("covid", "covid/P1", "normal/P2", "normal/P3"), set()),
        (("covid/P1", "normal/P2", "normal/P3"), set()),
    ],
)
def test_folders_of_patients_are_groups(
    tmp_path: Path, folders: Sequence[str], groups: set[str] | None
) -> None:
    contents = read(images(tmp_path, *folders))
    found = {item.group_id for item in contents.items} - {None}
    assert found == ({"P1", "P2", "P3"} if groups is None else groups)
    assert any("groups are the" in note for note in contents.notes) == bool(found)


@pytest.mark.parametrize(
    ("name", "is_patient"),
    [
        ("person{p}_virus_{n}.jpeg", True),  # Kermany
        ("sub-{p:02d}_T1w_{n}.png", True),  # BIDS
        ("P{p:03d}-{n}.png", True),
        ("image{p:03d}_{n}.png", False),
        ("p{p}_{n}.png", False),  # may be a page, a plate, a plane
        ("patient{n:03d}_a.png", False),  # one image each
    ],
)
def test_files_that_are_named_like_patients_are_said(
    tmp_path: Path, name: str, is_patient: bool
) -> None:
    for n in range(12):
        path = tmp_path / "set" / "ab"[n % 2] / name.format(p=n // 2, n=n)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 5), n).save(path)
    contents = read(tmp_path / "set")
    assert {item.group_id for item in contents.items} == {None}
    assert ("are named like patients" in "".join(contents.notes)) is is_patient


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("0000061/1.2.840.1", "0000062/1.2.840.2"), "numbers its folders"),
        (("patient001", "patient002"), "numbers its folders .patient001, patient002."),
        (("sub-01/anat", "sub-02/anat"), "numbers its folders"),
        (("images_001", "images_002", "images_003"), "numbers its folders"),
        (("ST000001/SE000001", "ST000002/SE000001"), "numbers its folders"),
        (("DOE^JOHN/1.3.6.1.4.1", "ROE^JANE/1.3.6.1.4.2"), "has folders of studies or series"),
    ],
)
def test_an_archive_of_patients_needs_a_table(
    tmp_path: Path, folders: Sequence[str], message: str
) -> None:
    root = images(tmp_path, *folders)
    with pytest.raises(LayerhouseError, match=message) as caught:
        read(root)
    assert "give a table with image_path,label,group_id, or --unlabelled" in str(caught.value)
    contents = read(root, unlabelled=True)
    assert len(contents.items) == 2 * len(folders)


@pytest.mark.parametrize("folders", [("0", "1", "2"), ("2019", "2020"), ("T1", "T2"), ("N1", "N2")])
def test_numbered_classes_are_classes(tmp_path: Path, folders: Sequence[str]) -> None:
    assert {label for _, label in seen(read(images(tmp_path, *folders)))} == set(folders)


def test_one_class_only_comes_with_a_guess_at_what_is_meant(tmp_path: Path) -> None:
    inner = images(tmp_path / "a", "archive/sick", "archive/well")
    with pytest.raises(LayerhouseError, match=r"if sick, well are the classes, give .*/archive"):
        read(inner)
    beside = images(tmp_path / "b", "images")
    (beside / "labels.csv").write_text("file,dx\n")
    with pytest.raises(LayerhouseError, match=r"if labels\.csv says the labels: .* add NAME .*csv"):
        read(beside)


def test_a_split_that_lacks_a_class_keeps_the_names_of_the_others(tmp_path: Path) -> None:
    """Where classes were counted per split, those behind the one that is missing moved up."""
    root = images(tmp_path / "set", *(f"train/{c}" for c in "abc"), "val/b", "val/c", n=3)
    images(root, *(f"test/{c}" for c in "abc"), n=4)
    lake = Lake.at(tmp_path / "lake")
    added = add(lake, "set", root)
    assert any("val has no sample of a" in note for note in added.warnings)
    with tables(lake) as wh:
        query = "SELECT DISTINCT label FROM sample JOIN class USING (dataset_id, class_index)"
        where = "WHERE split = 'val' AND split_part(sample_id, '/', 2) = label"
        assert wh.sql(f"{query} {where} ORDER BY ALL").fetchall() == [("b",), ("c",)]


def test_a_link_to_an_image_has_the_class_of_its_own_folder(tmp_path: Path) -> None:
    store = images(tmp_path / "store", "others", n=4)
    for number, label in enumerate("abab"):
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        link = tmp_path / "set" / label / f"{number}.png"
        link.symlink_to(store / "others" / f"{number}.png")
    found = {item.sample_id: item.label for item in read(tmp_path / "set").items}
    assert found == {"a/0.png": "a", "b/1.png": "b", "a/2.png": "a", "b/3.png": "b"}


def test_links_are_followed_and_loops_are_named(tmp_path: Path) -> None:
    store = images(tmp_path / "store", "a", "b")
    root = tmp_path / "set"
    root.mkdir()
    for label in ("a", "b"):
        (root / label).symlink_to(store / label)
    (store / "a" / "back").symlink_to(store / "a")
    (store / "b" / "up").symlink_to("..")  # to the other class as well
    contents = read(root)
    assert Counter(item.label for item in contents.items) == {"a": 2, "b": 2}
    for loop in ("back", "up"):
        assert any(f"{loop} leads back to a folder above it" in note for note in contents.notes)
    (store / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(LayerhouseError, match=r"1 of 5 images .*\n.*gone\.png does not exist"):
        add(Lake.at(tmp_path / "lake"), "set", root)


@pytest.mark.parametrize("where", ["file", "folder", "root"])
@pytest.mark.parametrize("name", ["肺".encode("gbk"), "nævus".encode("latin-1")])
def test_names_that_are_no_utf8_are_refused_in_one_sentence(
    tmp_path: Path, where: str, name: bytes
) -> None:
    odd = os.fsdecode(name)
    root = tmp_path / (odd if where == "root" else "set")
    for label in ("a", odd if where == "folder" else "b"):
        (root / label).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "x.png")
        (tmp_path / "x.png").replace(root / label / f"{odd if where == 'file' else '0'}.png")
    with pytest.raises(LayerhouseError, match=r"names of .* are not UTF-8, first .*; ren") as said:
        add(Lake.at(tmp_path / "lake"), "set", str(root))
    str(said.value).encode()  # it can be printed


def test_names_in_any_script_work(tmp_path: Path) -> None:
    root = images(tmp_path / "集", "肺炎", "健康", n=6)
    lake = Lake.at(tmp_path / "lake")
    assert add(lake, "set", root).n_classes == 2


# -- bad files --------------------------------------------------------------------------------


def test_bad_files_are_listed_together_and_skipped_when_asked(tmp_path: Path) -> None:
    root, lake = (
        images(tmp_path / "set", "a", "b", n=12, ending="jpg"),
        Lake.at(tmp_path / "lake"),
    )
    bad = ["a/3.jpg", "a/11.jpg", "b/7.jpg"]
    for name in bad:
        (root / name).write_bytes((root / name).read_bytes()[:-200])
    with pytest.raises(LayerhouseError, match="3 of 24 images cannot be used; --skip-bad") as said:
        add(lake, "set", root)
    assert all(name in str(said.value) for name in bad)
    result = add(lake, "set", root, AddOptions(reading=ReadOptions(skip_bad=True)))
    assert result.n_samples == 21
    (told,) = [warning for warning in result.warnings if "were left out" in warning]
    assert all(name in told for name in bad)
    for file in root.rglob("*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(LayerhouseError, match=r"none of the 24 images of .* can be used"):
        add(lake, "other", root, AddOptions(reading=ReadOptions(skip_bad=True)))


@pytest.mark.slow
def test_where_a_message_stops_a_file_lists_all_bad_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def added(*options: str, exit_code: int) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*words, *options])
        assert ended.value.code == exit_code
        return capsys.readouterr().err

    monkeypatch.setattr("extract.datasets.usable.LISTED", 2)
    root, said = images(tmp_path / "set", "a", "b", n=12), tmp_path / "bad.csv"
    bad = [f"a/{number}.png" for number in (1, 3, 4, 10)] + ["b/0.png"]
    for name in bad:
        (root / name).write_bytes(b"no image")
    words = ["datasets", "add", "set", str(root), "--lake", str(tmp_path / "lake")]
    assert "  and 3 more; --rejected FILE.csv lists all of them" in added(exit_code=1)
    added("--per-label", "--rejected", str(said), exit_code=1)
    rows = list(csv.DictReader(said.read_text(encoding="utf-8").splitlines()))
    assert sorted(row["sample_id"] for row in rows) == sorted(bad)
    assert all("cannot be decoded" in row["reason"] for row in rows)
    added("--skip-bad", "--rejected", str(said), exit_code=0)
    assert len(said.read_text(encoding="utf-8").splitlines()) == 6
    for name in bad:
        (root / name).unlink()
    added("--rejected", str(said), exit_code=0)
    assert said.read_text(encoding="utf-8").splitlines() == ["sample_id,reason"]
    nowhere = str(tmp_path / "no" / "bad.csv")
    assert f"cannot write {nowhere}" in added("--rejected", nowhere, exit_code=1)


def test_the_summary_counts_what_was_left_out_by_its_reason(tmp_path: Path) -> None:
    root, lake = images(tmp_path / "set", "a", "b", n=12), Lake.at(tmp_path / "lake")
    for name in ("a/0.png", "b/1.png"):
        (root / name).write_bytes(b"")
    (root / "b" / "2.png").write_bytes((root / "b" / "2.png").read_bytes()[:45])
    for name in ("a/x.txt", "a/y.txt", "b/z.npy", "a/1_mask.png"):
        Image.new("L", (4, 4), 3).save(root / name, "PNG") if "mask" in name else (
            root / name
        ).write_bytes(b"-")
    result = add(lake, "set", root, AddOptions(reading=ReadOptions(skip_bad=True)))
    assert result.summary.facts["Left out"].startswith("7 files (1 segmentation masks; ")
    for said in (
        "2 .txt files that are no images",
        "1 .npy files that are no images",
        "2 images that cannot be used: is empty (0 bytes)",
        "1 images that cannot be used: cannot be decoded as an image: ",
    ):
        assert said in result.summary.facts["Left out"]
    assert next(iter(result.summary.facts)) == "Left out"
    good = add(lake, "good", images(tmp_path / "good", "a", "b", n=12))
    assert "Left out" not in good.summary.facts


def test_pictures_of_kinds_that_are_not_read_are_named_and_not_passed_over(tmp_path: Path) -> None:
    root, lake = images(tmp_path / "set", "a", "b", n=12), Lake.at(tmp_path / "lake")
    (root / "a" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 99)
    with pytest.raises(
        LayerhouseError, match=r"IMG_1\.HEIC is a HEIC picture, .*convert it to PNG"
    ):
        add(lake, "set", root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images.zip", b"PK\x03\x04", r"; images\.zip is a ZIP archive, .*unpack it first"),
        ("a/1.npy", b"\x93NUMPY", r"; a/1\.npy is a NumPy array"),
        ("a/1.czi", b"ZISRAWFILE\0\0", r"; a/1\.czi is of no kind that is read here; save it as"),
        ("1.png", b"\x89PNG\r\n\x1a\n\0", r"--unlabelled takes images without labels\)$"),
        ("a/1.txt", b"-", r"--unlabelled takes images without labels\)$"),
        ("labels.csv", b"file,label\n", r"; if labels\.csv says the labels: .*/labels\.csv$"),
    ],
)
def test_a_folder_without_images_says_what_it_holds_instead(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    place = tmp_path / "set" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with pytest.raises(LayerhouseError, match=f"holds no images in class folders.*{message}"):
        add(Lake.at(tmp_path / "lake"), "set", tmp_path / "set")


def test_an_archive_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match=r"images\.zip is a ZIP archive, .*unpack it first"):
        add(Lake.at(tmp_path / "lake"), "set", tmp_path / "images.zip")


def test_findings_that_are_one_but_for_case_are_refused(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "a", n=12)
    labels = ("Mass|Edema", "mass", "Edema")
    rows = [f"a/{n}.png,{labels[n % 3]}" for n in range(12)]
    (root / "manifest.csv").write_text("\n".join(["image_path,label", *rows]))
    with pytest.raises(
        LayerhouseError, match="the findings 'Mass' and 'mass' are one but for case"
    ):
        add_per_label(Lake.at(tmp_path / "lake"), "set", root)


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    root, lake = images(tmp_path / "set", "a", "b", n=3), Lake.at(tmp_path / "lake")
    rows = "image_path,label\na/0.png,a\na/1,a\nb/2.PNG,b\nb/0.png,b\nc/0.png,b\n"
    (root / "b/x y.png").write_bytes((root / "b/1.png").read_bytes())
    (root / "b/1.txt").write_text("a report")
    (root / "manifest.csv").write_text(rows + "b/1.jpg,b\nb/x%20y.png,b\nb/3.png,b\n")
    with pytest.raises(LayerhouseError, match="5 of 8 images") as said:
        add(lake, "set", root)
    assert "b/2.PNG does not exist; there is 2.png instead" in str(said.value)
    assert "b/1.jpg does not exist; there is 1.png instead" in str(said.value)
    assert "b/x%20y.png does not exist; there is x y.png instead" in str(said.value)
    assert "b/3.png does not exist\n" in f"{said.value}\n"
    assert f"there is no folder {root}/c (--images names the one" in str(said.value)


def test_letters_that_are_composed_or_taken_apart_name_one_file(tmp_path: Path) -> None:
    """A table written on one system, and images that came through an archive of macOS."""
    apart, composed = (unicodedata.normalize(form, "Läsionen/Übersicht") for form in ("NFD", "NFC"))
    images(tmp_path / "set" / apart, ".", n=3)
    rows = "".join(f"{composed}/{n}.png,{'xy'[n % 2]}\n" for n in range(3))
    (tmp_path / "set" / "manifest.csv").write_text(f"image_path,label\n{rows}")
    contents = read(tmp_path / "set")
    assert [item.sample_id for item in contents.items] == [f"{composed}/{n}.png" for n in range(3)]
    assert all(Path(item.uri).is_file() for item in contents.items)
    assert contents.notes == ()
    images(tmp_path / "set" / composed, ".", n=1)  # now there are two folders, and what is written
    assert sum(Path(item.uri).is_file() for item in read(tmp_path / "set").items) == 1


def test_names_without_their_suffix_are_those_of_the_one_image_that_is_called_so(
    tmp_path: Path,
) -> None:
    """As tables of ISIC, HAM10000, APTOS and most of Kaggle write them."""
    root = images(tmp_path / "set", "a", n=3, ending="JPG")
    (root / "a" / "1.txt").write_text("a report")
    table = root / "manifest.csv"
    table.write_text("image_path,label\na/0,x\na/1,y\na/2.JPG,y\n")
    contents = read(root)
    assert [Path(item.uri).name for item in contents.items] == ["0.JPG", "1.JPG", "2.JPG"]
    assert [item.sample_id for item in contents.items] == ["a/0", "a/1", "a/2.JPG"]
    assert "2 paths leave the suffix of their file out, first 0 for 0.JPG" in contents.notes
    images(root, "a", n=1)
    with pytest.raises(LayerhouseError, match=r"names 0, which may be a/0\.JPG or a/0\.png; write"):
        read(root)


@pytest.mark.parametrize(
    ("written", "found", "notes"),
    [
        (("0.png", "b.png"), ("images_001/images/0.png", "images_002/images/b.png"), ["folder"]),
        (("0", "b"), ("images_001/images/0.png", "images_002/images/b.png"), ["suffix", "folder"]),
        (("images_001/images/0.png", "b"), None, ["suffix", "folder"]),
        (("0.png", "c.png"), ("images_001/images/0.png", "c.png"), ["folder"]),
        (("images/0.png", "b.png"), ("images/0.png", "images_002/images/b.png"), ["folder"]),
    ],
)
def test_names_without_their_folder_are_those_of_the_one_image_that_is_called_so(
    tmp_path: Path, written: tuple[str, str], found: tuple[str, str] | None, notes: list[str]
) -> None:
    """As NIH's table of twelve folders and HAM10000's of two; what is nowhere stays as it is."""
    root = images(tmp_path / "set", "images_001/images", "images_002/images", n=1)
    (root / "images_002" / "images" / "0.png").rename(root / "images_002" / "images" / "b.png")
    (root / "table.csv").write_text("image_path,label\n{},x\n{},y\n".format(*written))
    contents = read(root / "table.csv")
    expected = found or ("images_001/images/0.png", "images_002/images/b.png")
    assert [str(Path(item.uri).relative_to(root)) for item in contents.items] == list(expected)
    assert [item.sample_id for item in contents.items] == list(written)
    said = [re.findall(r"leave the (\w+) of", note)[0] for note in contents.notes]
    assert said == notes


def test_a_name_that_several_folders_hold_is_asked_about(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "one", "two", n=2)
    (root / "table.csv").write_text("image_path,label\n0.png,x\n1.png,y\n")
    with pytest.raises(LayerhouseError, match=r"names 0\.png, which may be one/0\.png or two/0\."):
        read(root / "table.csv")


@pytest.mark.parametrize("path", ["x" * 300, "y" * 300 + "/1.png", "a" * 5000])
def test_a_text_in_the_place_of_a_path_is_refused_with_its_line(tmp_path: Path, path: str) -> None:
    root = images(tmp_path / "set", "a", n=1)
    (root / "manifest.csv").write_text(f"image_path,label\n{path},x\na/0.png,y\n")
    with pytest.raises(LayerhouseError, match=r"line 2, row 1 .* which is no path of a file"):
        read(root)


def test_images_that_are_packed_within_a_class_are_named_and_not_passed_over(
    tmp_path: Path,
) -> None:
    root = images(tmp_path / "set", "a", "b", n=5)
    with ZipFile(root / "a" / "more.zip", "w") as archive:
        archive.write(root / "a" / "0.png", "0.png")
    lake = Lake.at(tmp_path / "lake")
    with pytest.raises(LayerhouseError, match=r"a/more.zip is a ZIP archive.*unpack it first"):
        add(lake, "set", root)
    (root / "b" / "more.zip").write_bytes((root / "a" / "more.zip").read_bytes())
    for path in root.rglob("*.png"):
        path.unlink()
    with pytest.raises(LayerhouseError, match=r"none of the 2 images .*more\.zip is a ZIP archive"):
        add(lake, "set", root)


def test_loose_images_in_one_split_are_no_split_of_nothing(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "train/a", "train/b", "test", n=3)
    message = f"{root}/test holds images without class folders.*give {root}/train alone"
    with pytest.raises(LayerhouseError, match=message):
        read(root)


@pytest.mark.parametrize("name", ["labels.xlsx", "annotations.json"])
def test_a_sheet_beside_one_folder_of_images_is_to_be_saved_as_csv(
    tmp_path: Path, name: str
) -> None:
    root = images(tmp_path / "set", "images")
    (root / name).write_bytes(b"PK\3\4")
    with pytest.raises(LayerhouseError, match=f"if {name} says the labels, save it as CSV"):
        read(root)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("images", "masks"), r"sorts its files by their kind \(images, masks\)"),
        (
            ("train/image", "train/mask", "test/image", "test/mask"),
            r"by their kind \(image, mask\)",
        ),
        (("imgs", "gt"), "by their kind"),
        (("Original", "Segmented"), "by their kind"),
        (("color", "grayscale", "segmented"), "by their kind"),
        (("jpg", "png"), "by their kind"),
        (("raw/a", "raw/b", "augmented/a", "augmented/b"), "by their kind"),
        (("fold1/a", "fold1/b", "fold2/a", "fold2/b"), r"numbers its folders \(fold1, fold2\)"),
        (("site_1", "site_2"), "numbers its folders"),
        (("2019-01-31", "20190201"), "numbers its folders"),
        (("TCGA-02-0001", "TCGA-A1-A0SB-01Z"), "numbers its folders"),
        (("a3f5c9d2e1", "b4c6d8e0f2"), "numbers its folders"),
        (("images", "lung masks", "infection masks"), "by their kind"),
        (
            ("siemens/benign", "siemens/malignant", "philips/benign", "philips/malignant"),
            r"holds the same folders \(benign, malignant\) in each of philips, siemens",
        ),
        (
            ("seg_train/seg_train/sea", "seg_train/seg_train/ice", "seg_test/seg_test/sea"),
            r"has splits for classes \(seg_test, seg_train\), which have to be called train, val",
        ),
        (("my_train", "my_validation"), "has splits for classes"),
    ],
)
def test_folders_that_are_no_classes_are_refused(
    tmp_path: Path, folders: Sequence[str], message: str
) -> None:
    root = images(tmp_path / "set", *folders, n=2)
    with pytest.raises(LayerhouseError, match=f"{message}.*give a table .* or --unlabelled"):
        read(root)
    assert read(root, unlabelled=True).items  # without the masks of other images


@pytest.mark.parametrize(
    "folders",
    [
        ("normal/left", "normal/right", "sick/left", "sick/right"),
        ("normal/images", "normal/raw", "sick/images", "sick/raw"),
        ("normal/p1", "normal/p2", "sick/p1", "sick/p2"),
        ("normal/40X", "normal/100X", "sick/40X", "sick/100X"),
        ("normal/a", "normal/b", "sick/a", "sick/c"),
        ("train station", "test tube", "sea"),
        ("mask", "no mask"),
        ("with_mask", "without_mask"),
        ("images", "drawings"),
        ("defaced", "facade"),
        ("2019", "2020"),
    ],
)
def test_folders_that_can_be_classes_are(tmp_path: Path, folders: Sequence[str]) -> None:
    found = read(images(tmp_path / "set", *folders, n=2))
    assert {item.label for item in found.items} == {name.split("/")[0] for name in folders}


@pytest.mark.parametrize(
    "ending",
    ["tga", "ico", "jp2", "jfif", "jpe", "pcx", "sgi", "avif", "dib", "apng", "TIFF", "Jpg", "pbm"],
)
def test_every_kind_of_picture_that_is_read_counts_as_one(tmp_path: Path, ending: str) -> None:
    root = images(tmp_path / "set", "a", "b", n=3, ending=ending)
    contents = read(root)
    assert len(contents.items) == 6
    assert contents.notes == ()
    for item in contents.items:
        open_image(item.uri)


@pytest.mark.parametrize(
    ("beside", "note"),
    [
        ("loose.png", "1 images beside the folders of classes were left out, first .*/loose.png"),
        ("train/loose.png", "1 images beside the folders of classes .*/train/loose.png"),
        ("labels.csv", "labels.csv was not read, since folders say the labels; give it alone if"),
        ("{1,2,3}.json", "1.json and 2 more tables were not read, .*; give one alone if it does"),
        ("train/c/", "the folder .*/train/c holds no images"),
        ("link ->", "the link .*/link leads nowhere"),
    ],
)
def test_what_lies_beside_the_classes_is_said(tmp_path: Path, beside: str, note: str) -> None:
    root = images(tmp_path / "set", "train/a", "train/b", "test/a", "test/b", n=2)
    assert read(root).notes == ()
    if beside.endswith("->"):
        (root / beside[:-3]).symlink_to(tmp_path / "nowhere")
    elif beside.endswith("/"):
        (root / beside).mkdir()
    elif beside.endswith(".csv"):
        (root / beside).write_text("image_path,label\n")
    elif beside.endswith(".json"):
        for number in "123":
            (root / f"{number}.json").write_text("{}")
    else:
        Image.new("L", (4, 4)).save(root / beside)
    found = read(root)
    assert len(found.items) == 8
    assert [bool(re.search(note, said)) for said in found.notes] == [True]


@pytest.mark.parametrize("name", ["nan", "NaN", "NULL", "a\nb", "a\tb"])
def test_folders_that_a_program_named_after_nothing_are_refused(tmp_path: Path, name: str) -> None:
    """As a script writes them that sorts images by a column with gaps, or by one with lines."""
    root = images(tmp_path / "set", "a", "b", name, n=2)
    way_out = "take it out, or call it as its class" if name.isalpha() else "rename it"
    with pytest.raises(LayerhouseError, match=f"the folder .* of .*set .*{way_out}"):
        read(root)
    assert len(read(root, unlabelled=True).items) == 6


@pytest.mark.parametrize("name", ["None", "NA"])
def test_folders_that_may_be_named_after_nothing_are_said(tmp_path: Path, name: str) -> None:
    contents = read(images(tmp_path / "set", "a", "b", name, n=2))
    assert [f"the class {name} is called as" in note for note in contents.notes] == [True]


def test_two_folders_of_one_split_are_said(tmp_path: Path) -> None:
    folders = [f"{split}/{label}" for split in ("train", "val", "validation") for label in "ab"]
    contents = read(images(tmp_path / "set", *folders, n=2))
    assert contents.notes == ("the folders val and validation are both the split val",)
    assert {item.split for item in contents.items} == {"train", "val"}


def test_deep_folders_that_are_no_groups_are_said(tmp_path: Path) -> None:
    """As BreakHis has its patients, three folders below the class."""
    deep = images(tmp_path / "a", "benign/SOB/adenosis/P1/40X", "malignant/SOB/ductal/P2/40X", n=2)
    (note,) = read(deep).notes
    assert "the folders SOB/adenosis/P1/40X below the class benign" in note
    assert "a table with image_path,label,group_id says so" in note
    assert read(images(tmp_path / "b", "benign/SOB", "malignant/SOB", n=2)).notes == ()


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("archive/train/a", "archive/test/a"), "splits are in a folder .* give .*/set/archive$"),
        (("archive/a", "archive/b"), "if a, b are the classes, give .*/set/archive$"),
        (("one/two/train/a", "one/two/test/a"), "splits are in a .* give .*/set/one/two$"),
        (("x/x/train/a", "x/train/a", "x/test/a"), "splits are in a folder .* give .*/set/x$"),
        (("train/images/a", "train/images/b"), "if a, b are the classes, move them out of the"),
        (("train/images", "test/images"), "give a table with image_path,label"),
    ],
)
def test_a_folder_in_between_is_told(tmp_path: Path, folders: Sequence[str], message: str) -> None:
    with pytest.raises(LayerhouseError, match=f"all samples .*{message}"):
        read(images(tmp_path / "set", *folders, n=2))


@pytest.mark.parametrize(
    ("tables", "command"),
    [
        (
            {"metadata.csv": "file_name,label\n1.png,a\n"},
            "/metadata.csv --column image_path=file_n",
        ),
        (
            {
                "sheet 1.csv": "Image Index,Finding Labels,Patient ID\n"
                "1.png,a,1\n2.png,b,1\n3.png,a,2\n"
            },
            "sheet 1.csv' --column image_path='Image Index' --column label='Finding Labels' "
            "--column group_id='Patient ID'",
        ),
        ({"labels.csv": "image_path,label\n1.png,a\n"}, "/labels.csv"),
        (
            {"labels.jsonl": '{"img": "1.png", "y": "a"}\n'},
            "--column image_path=img --column label=y",
        ),
        (
            {"anno.json": '[{"img": "1.png", "y": "a"}]', "x.json": "{}"},
            "if anno.json says the labels: .*/anno.json --column image_path=img --column label=y",
        ),
        (
            {"anno.json": '[{"img": "1.png", "y": "a"}]', "t.csv": "path,label\n1,a\n"},
            "if t.csv says the labels: .*/t.csv --column image_path=path",
        ),
        (
            {"labels.xlsx": "PK"},
            "save it as CSV and give that.*: layerhouse datasets add NAME .*/labels.csv$",
        ),
        (
            {"sample_submission.csv": "id,y\n1,a\n", "train.csv": "id,y\n2,b\n"},
            "if train.csv says the labels: .*/train.csv --column",
        ),
        ({"train.csv": "path,label\n1,a\n", "test.csv": "path,label\n"}, "put them into one"),
        ({"train/m.csv": "path,y\n1,a\n", "test/m.csv": "path,y\n"}, "test/m.csv, train/m.csv"),
    ],
)
def test_the_table_that_is_meant_comes_with_the_whole_command(
    tmp_path: Path, tables: dict[str, str], command: str
) -> None:
    root = images(tmp_path / "set", ".", n=2)
    for name, content in tables.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    with pytest.raises(LayerhouseError, match=f"layerhouse datasets add NAME|{command}") as caught:
        read(root)
    assert re.search(command, str(caught.value))
    assert "layerhouse datasets add NAME" in str(caught.value)


def test_splits_without_test_say_what_to_do(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "train/a", "train/b", "val/a", "val/b", n=3)
    with pytest.raises(LayerhouseError, match=r"no sample is in the split test; .*call it test"):
        add(Lake.at(tmp_path / "lake"), "set", root)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0.37", "1.2", "2.81", "3.33", "4.0"], "5 different ones .*put into ranges"),
        (["a", "a", "a", "a", "a", "b"], "class b has .*one.*|class b is only in"),
    ],
)
def test_labels_that_teach_nothing_are_refused(
    tmp_path: Path, labels: list[str], message: str
) -> None:
    root = images(tmp_path / "set", "i", n=len(labels))
    rows = [f"i/{n}.png,{label}" for n, label in enumerate(labels)]
    (root / "manifest.csv").write_text("\n".join(["image_path,label", *rows]) + "\n")
    with pytest.raises(LayerhouseError, match=message):
        add(Lake.at(tmp_path / "lake"), "set", root)


def test_signs_that_nobody_sees_around_a_label_make_no_class(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "i", n=4)
    labels = ("a", "a\u200b", "\ufeffb", "b\u00a0")
    rows = [f"i/{n}.png,{label}" for n, label in enumerate(labels)]
    (root / "manifest.csv").write_text("\n".join(["image_path,label", *rows]) + "\n")
    assert [item.label for item in read(root).items] == ["a", "a", "b", "b"]


# -- phrases and replies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "phrase"),
    [
        *((same, same) for same in ("ER+", "ER-", "IDC(-)", "<5 mm", ">5 mm", "COVID-19", "-1")),
        *((same, same) for same in ("grade 3-4", "CD4+CD8-", "ER-PR-", "肺-炎")),
        ("no_finding", "no finding"),
        ("no-finding", "no finding"),
        ("non_small-cell", "non small cell"),
        ("_", "_"),
    ],
)
def test_a_label_is_spelled_without_losing_what_it_says(label: str, phrase: str) -> None:
    assert spelled(label) == phrase


@pytest.mark.parametrize(
    "labels",
    [
        ("ER+", "ER-"),
        ("IDC(+)", "IDC(-)"),
        (">5 mm", "<5 mm"),
        ("CD4+CD8-", "CD4-CD8+", "CD4+CD8+"),
        ("≤3", ">3"),
        ("-1", "1"),
        ("ER", "ER+"),
    ],
)
def test_labels_that_differ_in_signs_are_told_apart_in_replies(labels: Sequence[str]) -> None:
    classes = [ClassNames(label, spelled(label)) for label in labels]
    assert [parse_reply(label, classes) for label in labels] == list(range(len(labels)))
    said = [parse_reply(f"The answer is {label}.", classes) for label in labels]
    assert said == list(range(len(labels)))


@pytest.mark.parametrize(
    ("phrases", "warned"),
    [
        (("0", "1"), True),
        (("0.0", "1.0"), True),
        (("False", "True"), True),
        (("n02085620", "n02085782"), True),
        (("001.Black footed Albatross", "002.Laysan Albatross"), True),
        (("zero", "one"), False),
        (("T1", "T2"), False),
        (("true bug", "false scorpion"), False),
        (("2 vessel disease", "no vessel disease"), False),
        (("0 normal", "1 pneumonia"), True),
        (("01 TUMOR", "02 STROMA"), True),
        (("1-benign", "2-malignant"), True),
        (("3D scan", "2D scan"), False),
    ],
)
def test_numbers_for_classes_are_warned_of(phrases: Sequence[str], warned: bool) -> None:
    rows = [{"label": phrase, "phrase": phrase} for phrase in phrases]
    warnings = label_warnings(rows)
    assert bool(warnings) is warned
    assert not warned or f'would be asked for "{", ".join(phrases)}"' in warnings[0]


# -- one dataset per finding ------------------------------------------------------------


def findings_table(root: Path, n: int = 60) -> Path:
    """`n` images of `n / 2` patients with Mass and Effusion, one with Hernia."""
    images(root, "i", n=n)
    rows = []
    for index in range(n):
        names = [name for name, every in (("Mass", 2), ("Pleural_Effusion", 3)) if index % every]
        rows.append(f"i/{index}.png,{'|'.join(names) or 'No Finding'},P{index // 2}")
    rows[5] = "i/5.png,Hernia|Mass,P2"
    (root / "manifest.csv").write_text("\n".join(["image_path,label,group_id", *rows]) + "\n")
    return root


def test_findings_become_one_dataset_each_over_the_same_images_and_splits(tmp_path: Path) -> None:
    root, lake = findings_table(tmp_path / "cxr"), Lake.at(tmp_path / "lake")
    with pytest.raises(LayerhouseError, match=r"several labels per image \(Hernia, Mass") as said:
        add(lake, "cxr", root)
    assert f"layerhouse datasets add cxr {root} --per-label" in str(said.value)
    named = ReadOptions(columns={"label": "label"}, missing="skip")
    with pytest.raises(LayerhouseError, match=r"--column label=label --missing skip --per-label"):
        add(lake, "cxr", root, AddOptions(reading=named))
    seen: list[int] = []
    options = AddOptions(phrases={"Mass": "a mass"})
    results = add_per_label(
        lake, "cxr", root, options, lambda done, total: seen.append(total - done)
    )
    assert [result.dataset_id for result in results] == ["cxr_mass", "cxr_pleural_effusion"]
    assert seen == list(range(59, -1, -1))  # every image was decoded once
    assert "Hernia was left out: class yes" in results[0].warnings[0]
    with tables(lake) as warehouse:
        mass, effusion = (dataset(warehouse, result.dataset_id) for result in results)
    assert [(row.label, row.phrase) for row in mass.classes] == [
        ("no", "no a mass"),
        ("yes", "a mass"),
    ]
    assert [row.phrase for row in effusion.classes] == ["no Pleural Effusion", "Pleural Effusion"]
    shared = ["sample_id", "uri", "sha256", "split", "group_id"]
    assert mass.samples.select(shared).equals(effusion.samples.select(shared))
    assert mass.samples["class_index"].to_list() != effusion.samples["class_index"].to_list()
    assert mass.title == "cxr: Mass"
    again = add_per_label(lake, "cxr", root)  # phrases that were given once stay
    assert not any(result.added for result in again)


def test_classes_are_findings_too_and_odd_names_are_numbered(tmp_path: Path) -> None:
    root, lake = images(tmp_path / "s", "ER+", "ER-", "肺炎", n=8), Lake.at(tmp_path / "lake")
    names = [result.dataset_id for result in add_per_label(lake, "s", root)]
    assert names == ["s_er-plus", "s_er-minus", "s_finding-3"]


def test_yes_and_no_of_one_finding_are_no_two_findings(tmp_path: Path) -> None:
    root, lake = images(tmp_path / "s", "0", "1", n=8), Lake.at(tmp_path / "lake")
    with pytest.raises(LayerhouseError, match=r"leave --per-label out .* --phrase 0=… --phrase 1="):
        add_per_label(lake, "s", root)


def test_findings_that_are_codes_are_said_once_with_the_option_that_names_them(
    tmp_path: Path,
) -> None:
    root, lake = images(tmp_path / "s", "J18.0", "J18.9", "C34", n=8), Lake.at(tmp_path / "lake")
    results = add_per_label(lake, "s", root)
    said = [line for result in results for line in result.warnings if "would be asked" in line]
    assert len(said) == 1
    assert 'for "C34, J18.0, J18.9"; name the classes with --phrase C34=…' in said[0]


def test_cut_patients_are_named(tmp_path: Path) -> None:
    root = images(tmp_path / "set", "i", n=12)
    rows = [f"i/{n}.png,{'ab'[n % 2]},P{n // 4},{('train', 'test')[n % 4 > 1]}" for n in range(12)]
    (root / "manifest.csv").write_text("\n".join(["image_path,label,group_id,split", *rows]) + "\n")
    with pytest.raises(LayerhouseError, match="group P0 is in the splits train and test") as said:
        add(Lake.at(tmp_path / "lake"), "set", root)
    assert "(and 2 more are cut: P1, P2)" in str(said.value)


def test_patients_of_dicom_files_are_groups_of_folders_and_tables(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="the extra layerhouse[dicom] is not installed")
    rows = ["image_path,label"]
    for n in range(8):
        place = tmp_path / "ct" / "ab"[n % 2] / f"IM{n}"
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place, dicom(np.full((4, 4), n, np.uint8), PatientID=f"DOE^{n // 4}"))
        rows.append(f"{place.relative_to(tmp_path / 'ct')},{'ab'[n % 2]}")
    groups = {hashed("DOE^0"), hashed("DOE^1")}
    assert {item.group_id for item in read(tmp_path / "ct").items} == groups
    plain = read(tmp_path / "ct", plain_patient_ids=True)
    assert {item.group_id for item in plain.items} == {"DOE^0", "DOE^1"}
    table = tmp_path / "ct" / "manifest.csv"
    table.write_text("\n".join(rows) + "\n")
    assert {item.group_id for item in read(table).items} == groups
    assert {item.group_id for item in read(table, columns={"group_id": "none"}).items} == {None}
    with_groups = [f"{row},{'group_id' if row == rows[0] else 'own'}" for row in rows]
    table.write_text("\n".join(with_groups) + "\n")
    assert {item.group_id for item in read(table).items} == {"own"}


def test_a_patient_id_is_hashed_alike_everywhere() -> None:
    assert hashed("DOE^JOHN") == hashed("DOE^JOHN") != hashed("DOE^JANE")
    assert "DOE" not in hashed("DOE^JOHN")


@pytest.mark.parametrize("folder", ["masks", "GT", "ground_truth", "Segmentation", "lung masks"])
@pytest.mark.parametrize("ending", ["", "_mask", "_seg"])
def test_masks_in_a_folder_beside_the_images_are_no_samples(
    tmp_path: Path, folder: str, ending: str
) -> None:
    for label in ("a", "b"):
        for place, end in (("images", ""), (folder, ending)):
            (tmp_path / label / place).mkdir(parents=True)
            for number in range(3):
                name = f"{number}{end}.png"
                Image.new("L", (4, 4), number).save(tmp_path / label / place / name)
    contents = read(tmp_path)
    assert Counter(item.label for item in contents.items) == {"a": 3, "b": 3}
    assert "6 segmentation masks of images beside them were left out" in contents.notes


def test_masks_of_volumes_are_no_samples(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for name in ("1", "1_seg", "2", "2_mask"):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / f"{name}.nii.gz").write_bytes(b"")
    contents = read(tmp_path)
    assert [Path(item.sample_id).name for item in contents.items] == ["1.nii.gz", "2.nii.gz"] * 2
    assert contents.left_out == {"segmentation masks": 4}


def test_segmentations_of_a_case_of_several_pictures_are_no_samples(tmp_path: Path) -> None:
    """As BraTS has them; a face with a mask is a picture."""
    names = ("C-1/C-1-t1", "C-1/C-1-t2", "C-1/C-1-seg", "C_2/C_2_t1", "C_2/C_2_seg")
    for name in (*names, "2/face_old", "2/face_mask", "3/image", "3/mask", "4/seg"):
        for label in ("a", "b"):
            (tmp_path / label / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / label / f"{name}.nii.gz").write_bytes(b"")
    contents = read(tmp_path)
    assert contents.left_out == {"segmentation masks": 6}
    kept = {Path(item.sample_id).name.removesuffix(".nii.gz") for item in contents.items}
    assert kept == {"C-1-t1", "C-1-t2", "C_2_t1", "face_old", "face_mask", "image", "seg"}


def test_a_class_called_mask_is_a_class(tmp_path: Path) -> None:
    contents = read(images(tmp_path, "mask", "none"))
    assert Counter(item.label for item in contents.items) == {"mask": 2, "none": 2}
