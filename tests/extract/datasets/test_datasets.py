"""Datasets of every kind are read, checked and registered, once and whole."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from extract.datasets import AddOptions, add, registered, resolve
from tests.tables import tables
from warehouse.catalogue.samples import DatasetInfo, dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


def stored(lake: Lake, name: str) -> DatasetInfo:
    with tables(lake) as warehouse:
        return dataset(warehouse, name)


def attributes(lake: Lake) -> set[tuple[str, str, str]]:
    with tables(lake) as warehouse:
        found = warehouse.sql("SELECT sample_id, name, value FROM sample_attribute").fetchall()
    return set(found)


def write_image(path: Path, grey: int, size: tuple[int, int] = (6, 5)) -> None:
    """A flat image; equal `grey` and size give identical files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


def write_folder(root: Path, counts: Mapping[str, int]) -> Path:
    """`counts` images below each sub-folder, no two alike."""
    grey = 0
    for folder, n in counts.items():
        for index in range(n):
            write_image(root / folder / f"{index:03d}.png", grey % 256, (6 + grey // 256, 5))
            grey += 1
    return root


Row = Sequence[str]


def write_manifest(root: Path, header: str, rows: Sequence[Row], images: bool = True) -> Path:
    """manifest.csv with these rows, and an image of its own for each first cell."""
    root.mkdir(parents=True, exist_ok=True)
    for grey, row in enumerate(rows):
        if images:
            write_image(root / row[0], 255 - grey)
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return root


def split_rows(**changes: str) -> list[list[str]]:
    """Three patients per class, one per split, two images each; `a0=…` renames a patient."""
    rows = []
    for label in ("a", "b"):
        for split in ("train", "val", "test"):
            patient = changes.get(f"{label}_{split}", f"{label}-{split}")
            rows += [[f"{label}/{split}{n}.png", label, split, patient] for n in (0, 1)]
    return rows


FULL = "image_path,label,split,group_id"


# -- sources ----------------------------------------------------------------------------------


def test_a_folder_of_classes_is_split_once_and_for_good(tmp_path: Path, lake: Lake) -> None:
    root = write_folder(tmp_path / "Cells", {"type_10": 30, "type_2": 50, ".hidden": 3})
    result = add(lake, "cells", root)
    info = stored(lake, "cells")
    assert (result.added, result.n_samples, result.n_classes) == (True, 80, 2)
    assert [(row.label, row.phrase) for row in info.classes] == [
        ("type_2", "type 2"),
        ("type_10", "type 10"),
    ]
    sizes = info.samples.group_by("class_index", "split").len()["len"].to_list()
    assert sorted(sizes) == [6, 6, 10, 10, 18, 30]
    first = info.samples.row(0, named=True)
    assert first["sample_id"] == first["group_id"] == "type_10/000.png"
    assert (first["width"], first["height"], len(first["sha256"])) == (6, 5, 64)
    assert open_image(first["uri"]).size == (6, 5)
    again = add(Lake.at(tmp_path / "other"), "cells", root)
    assert again.split_sizes == result.split_sizes
    assert stored(Lake.at(tmp_path / "other"), "cells").samples.equals(info.samples)


def test_split_folders_are_kept_and_a_missing_val_is_made_from_train(
    tmp_path: Path, lake: Lake
) -> None:
    root = write_folder(tmp_path / "set", {"Train/a": 40, "Train/b": 40, "test/a": 3, "test/b": 25})
    result = add(lake, "set", root)
    assert result.split_sizes == {"train": 60, "val": 20, "test": 28}
    assert "the split val was made from 20 samples of train" in result.warnings
    samples = stored(lake, "set").samples
    in_test = samples.filter(split="test")["sample_id"]
    assert in_test.str.starts_with("test/").all()


def test_masks_and_foreign_files_in_a_folder_are_left_out_and_said(
    tmp_path: Path, lake: Lake
) -> None:
    root = write_folder(tmp_path / "busi", {"benign": 5, "normal": 5})
    write_image(root / "benign" / "000_mask.png", 250)
    write_image(root / "benign" / "000_mask_1.png", 251)
    write_image(root / "normal" / "lone_mask.png", 252)
    (root / "normal" / "notes.txt").write_text("x")
    result = add(lake, "busi", root)
    assert result.n_samples == 11
    assert any("2 segmentation masks" in warning for warning in result.warnings)
    assert any("1 files that are no images" in warning for warning in result.warnings)


def test_a_manifest_keeps_splits_groups_and_further_columns(tmp_path: Path, lake: Lake) -> None:
    rows = [[*row, "AP" if n % 2 else ""] for n, row in enumerate(split_rows())]
    root = write_manifest(tmp_path / "xray", FULL + ",view", rows)
    result = add(lake, "xray", root, AddOptions("Chest", "CC0", {"a": "no finding"}))
    info = stored(lake, "xray")
    assert info.title == "Chest"
    assert [row.phrase for row in info.classes] == ["no finding", "b"]
    row = info.samples.row(by_predicate=pl.col("sample_id") == "b/val1.png", named=True)
    assert (row["class_index"], row["split"], row["group_id"]) == (1, "val", "b-val")
    assert attributes(lake) == {(row[0], "view", "AP") for row in rows if row[4]}
    assert result.warnings == ("test has only 2 groups: intervals will be wide",)


def test_a_parquet_manifest_says_the_same_as_csv(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    add(lake, "from-csv", root)
    frame = pl.read_csv(root / "manifest.csv").with_columns(age=pl.lit(60))
    (root / "manifest.csv").unlink()
    frame.write_parquet(root / "manifest.parquet")
    add(lake, "from-parquet", root)
    assert stored(lake, "from-parquet").samples.equals(stored(lake, "from-csv").samples)
    assert ("a/train0.png", "age", "60") in attributes(lake)


def test_groups_stay_whole_in_made_splits_and_copies_do_not_part(
    tmp_path: Path, lake: Lake
) -> None:
    rows = [[f"i{n}.png", "ab"[n // 5 % 2], f"patient{n // 5}"] for n in range(200)]
    root = write_manifest(tmp_path / "set", "image_path,label,group_id", rows)
    shutil.copy(root / "i0.png", root / "i199.png")
    result = add(lake, "set", root, AddOptions(fractions=(0.5, 0.25, 0.25), seed=3))
    samples = stored(lake, "set").samples
    assert samples.group_by("group_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert result.split_sizes == {"train": 100, "val": 50, "test": 50}
    twins = samples.filter(pl.col("sample_id").is_in(["i0.png", "i199.png"]))
    assert twins["split"].n_unique() == 1
    assert not any("identical images are in two splits" in text for text in result.warnings)
    assert any("identical images are in two classes" in text for text in result.warnings)


def test_another_seed_gives_another_split(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", {"a": 30, "b": 30})
    splits = []
    for seed in (0, 1):
        lake = Lake.at(tmp_path / f"lake{seed}")
        add(lake, "set", root, AddOptions(seed=seed))
        splits.append(stored(lake, "set").samples["split"].to_list())
    assert splits[0] != splits[1]


def test_the_builtin_digits_register_themselves(lake: Lake) -> None:
    assert resolve(lake, "digits") == "digits"
    info = stored(lake, "digits")
    assert [row.label for row in info.classes][:3] == ["zero", "one", "two"]
    assert len(info.samples) == 1797
    shares = info.samples["split"].value_counts(normalize=True)
    expected = {"train": 0.6, "val": 0.2, "test": 0.2}
    assert dict(shares.iter_rows()) == pytest.approx(expected, abs=0.005)
    row = info.samples.row(17, named=True)
    assert (row["sample_id"], row["uri"]) == ("digits/0017", "sklearn-digits:17")
    assert (row["width"], row["height"], row["class_index"]) == (8, 8, 7)
    commits = len(list_commits(lake))
    assert resolve(lake, "digits") == "digits"
    assert len(list_commits(lake)) == commits


def test_a_medmnist_archive_keeps_its_splits(tmp_path: Path, lake: Lake) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, n in {"train": 20, "val": 6, "test": 8}.items():
        arrays[f"{split}_images"] = rng.integers(0, 255, (n, 28, 28, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).reshape(-1, 1)
    np.savez_compressed(tmp_path / "breastmnist.npz", **arrays)
    name = resolve(lake, str(tmp_path / "breastmnist.npz"))
    info = stored(lake, name)
    assert name == "breastmnist"
    assert [(row.label, row.phrase) for row in info.classes] == [
        ("malignant", "malignant"),
        ("normal, benign", "normal or benign"),
    ]
    row = info.samples.row(by_predicate=pl.col("sample_id") == "val/00003", named=True)
    assert np.array_equal(np.asarray(open_image(row["uri"])), arrays["val_images"][3])
    assert (row["split"], row["class_index"]) == ("val", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": None}, "has train_images but no train_labels"),
        ({"train_labels": np.zeros((4, 14))}, "several labels per image"),
        ({"train_images": np.zeros((4, 9, 9, 9, 3), np.uint8)}, "has shape"),
        ({"train_images": np.zeros((4, 9, 9, 9), np.uint8)}, "holds 9 slices.*--frame middle"),
        ({"train_images": np.zeros((4, 9, 9))}, "float64 pixels"),
        ({"train_images": np.zeros((3, 9, 9), np.uint8)}, "3 images for 4 labels"),
        ({"train_images": None, "train_labels": None}, "has no array train_images"),
    ],
)
def test_an_archive_that_is_not_medmnist_is_refused(
    tmp_path: Path, lake: Lake, change: dict[str, Any], message: str
) -> None:
    arrays = {
        "train_images": np.zeros((4, 9, 9), np.uint8),
        "train_labels": np.arange(4) % 2,
        **change,
    }
    kept = {key: value for key, value in arrays.items() if value is not None}
    np.savez(tmp_path / "set.npz", other=np.zeros(1), **kept)
    with pytest.raises(LayerhouseError, match=message):
        add(lake, "set", tmp_path / "set.npz")


def test_a_dicom_folder_is_grouped_by_patient(tmp_path: Path, lake: Lake) -> None:
    pydicom = pytest.importorskip("pydicom", reason="the extra layerhouse[dicom] is not installed")
    for n in range(60):
        item = pydicom.Dataset()
        item.file_meta = pydicom.dataset.FileMetaDataset()
        item.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        item.SOPClassUID, item.SOPInstanceUID = pydicom.uid.CTImageStorage, f"1.2.{n}"
        item.Rows, item.Columns, item.SamplesPerPixel = 4, 6, 1
        item.BitsAllocated, item.BitsStored, item.HighBit = 8, 8, 7
        item.PixelRepresentation, item.PhotometricInterpretation = 0, "MONOCHROME2"
        item.PixelData = bytes([n] * 23 + [255])
        item.PatientID = f"p{n // 3}"
        path = tmp_path / "ct" / ("covid" if n // 3 % 2 else "normal") / f"slice{n}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        item.save_as(path, enforce_file_format=True)
    add(lake, "ct", tmp_path / "ct")
    samples = stored(lake, "ct").samples
    assert samples["group_id"].n_unique() == 20
    assert samples["group_id"].str.contains(r"^patient-[0-9a-f]{12}$").all()
    assert samples.group_by("group_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert samples.row(0, named=True)["width"] == 6


def test_a_saved_hugging_face_dataset_opens_without_its_library(tmp_path: Path, lake: Lake) -> None:
    hf = pytest.importorskip("datasets", reason="the extra layerhouse[datasets] is not installed")
    hf.disable_progress_bars()
    features = hf.Features(
        {
            "image": hf.Image(),
            "label": hf.ClassLabel(names=["sick", "healthy"]),
            "age": hf.Value("int64"),
        }
    )
    parts = {}
    for start, (split, n) in enumerate({"train": 8, "validation": 4, "test": 4}.items()):
        images = [Image.new("RGB", (7, 5), (start, index, 0)) for index in range(n)]
        rows = {"image": images, "label": [i % 2 for i in range(n)], "age": list(range(n))}
        parts[split] = hf.Dataset.from_dict(rows, features=features)
    hf.DatasetDict(parts).save_to_disk(tmp_path / "Saved Set", num_shards={
        "train": 2, "validation": 1, "test": 1})  # fmt: skip
    name = resolve(lake, str(tmp_path / "Saved Set"))
    info = stored(lake, name)
    assert name == "saved-set"
    assert [row.label for row in info.classes] == ["sick", "healthy"]
    row = info.samples.row(by_predicate=pl.col("sample_id") == "train/00005", named=True)
    assert open_image(row["uri"]).getpixel((0, 0)) == (0, 5, 0)
    assert (row["class_index"], row["split"], row["width"]) == (1, "train", 7)
    assert ("validation/00003", "age", "3") in attributes(lake)


# -- names and repetition ---------------------------------------------------------------------


def test_adding_the_same_again_adds_nothing_and_says_so(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    first = add(lake, "xray", root)
    commits = list_commits(lake)
    again = add(lake, "xray", root)
    assert (first.added, again.added) == (True, False)
    assert again.split_sizes == first.split_sizes
    assert resolve(lake, str(root)) == resolve(lake, "xray") == "xray"
    assert list_commits(lake) == commits


def test_changed_content_under_a_known_name_is_refused_with_the_difference(
    tmp_path: Path, lake: Lake
) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    add(lake, "xray", root)
    before = stored(lake, "xray").samples
    write_image(root / "a/train0.png", 99)
    rows = [*split_rows()[1:], ["c.png", "b", "train", "new"]]
    write_manifest(root, FULL, [split_rows()[0], *rows], images=False)
    write_image(root / "c.png", 77)
    message = "1 samples are new, first c.png; 1 samples have another image, first a/train0.png"
    with pytest.raises(LayerhouseError, match=message):
        add(lake, "xray", root)
    write_manifest(root, FULL, split_rows())
    with pytest.raises(LayerhouseError, match=r"a, b became a \(other words\), b"):
        add(lake, "xray", root, AddOptions(phrases={"a": "other words"}))
    assert stored(lake, "xray").samples.equals(before)


@pytest.mark.slow
def test_a_moved_source_is_found_again_by_adding_it_from_there(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    add(lake, "xray", root, AddOptions(title="Chest"))
    for place in ("new", "newer", "new"):
        moved = tmp_path / place / "xray"
        moved.parent.mkdir(exist_ok=True)
        root = Path(shutil.move(root, moved))
        assert add(lake, "xray", root).added
        info = stored(lake, "xray")
        assert all(uri.startswith(str(moved)) for uri in info.samples["uri"])
        assert info.title == "Chest"
    assert registered(lake)["xray"].revision == 3


def test_manifests_beside_each_other_get_names_of_their_own(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "NIH CXR", FULL, split_rows())
    shutil.copy(root / "manifest.csv", root / "manifest_sex.csv")
    assert resolve(lake, str(root)) == resolve(lake, str(root / "manifest.csv")) == "nih-cxr"
    assert resolve(lake, str(root / "manifest_sex.csv")) == "nih-cxr_sex"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda lake, _: resolve(lake, "digit"), "did you mean digits"),
        (lambda lake, _: resolve(lake, "a/b"), "no dataset is called 'a/b'"),
        (lambda lake, path: add(lake, "x", path / "gone"), "gone does not exist"),
        (lambda lake, path: add(lake, "Ä b", path), "may hold only"),
        (lambda lake, path: add(lake, 201 * "a", path), "at most 200 of them"),
        (lambda lake, path: add(lake, "digits", path), "built-in dataset"),
        (lambda lake, path: add(lake, "x", path / "xray" / "a" / "val0.png"), "is no dataset"),
        (lambda *_: AddOptions(fractions=(0.5, 0.5)), "must be three positive shares"),
        (
            lambda lake, path: add(lake, "x", path / "xray", AddOptions(phrases={"A": "y"})),
            "no class is labelled 'A'",
        ),
    ],
)
def test_names_and_options_that_cannot_be_meant_are_usage_errors(
    tmp_path: Path, lake: Lake, call: Any, message: str
) -> None:
    write_manifest(tmp_path / "xray", FULL, split_rows())
    with pytest.raises(UsageError, match=message):
        call(lake, tmp_path)
    assert registered(lake) == {}


# -- bad data ---------------------------------------------------------------------------------


def renamed(rows: list[list[str]], at: int, column: int, value: str) -> list[list[str]]:
    rows[at][column] = value
    return rows


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("path,label,split,group_id", split_rows(), "no column image_path; it has path, label"),
        ("file,class,split,group_id", split_rows(), "no column image_path and no column label"),
        (FULL, [], "lists no images"),
        (FULL, renamed(split_rows(), 3, 2, "tset"), "row 4 of .* names the split 'tset'"),
        (FULL, renamed(split_rows(), 3, 2, ""), "row 4 of .* has no split"),
        (FULL, renamed(split_rows(), 3, 1, ""), "row 4 of .* has no label"),
        (FULL, renamed(split_rows(), 3, 0, "a/train0.png"), "lists a/train0.png 2 times"),
        (FULL, split_rows(a_test="a-train"), "group a-train is in the splits train and test"),
        (FULL, [*split_rows(), ["c.png", "c", "test", "c"]], "class c is only in test"),
        (FULL, [*split_rows(), ["c.png", "c", "train", "c"]], "class c has one train sample"),
        (FULL, split_rows()[:6], "all samples have the class a"),
        (FULL, [row for row in split_rows() if row[2] != "test"], "in the split test"),
        (
            "image_path,label",
            [["1.png", "a_b"], ["2.png", "a-b"]],
            "'a b' and 'a b', which no reply",
        ),
        ("image_path,label", [["1.png", "Mel"], ["2.png", "mel"]], "Mel and mel .*if they are one"),
        ("image_path,label", [["1.png", "a  b"], ["2.png", "a b"]], "which no reply can tell"),
        ("image_path,label", [["1.png", "é"], ["2.png", "e\u0301"]], "which no reply can tell"),
        ("image_path,label", [["1.png", "ab"], ["2.png", "ab."]], "which no reply can tell"),
        ("image_path,label", [["1.png", "ab"], ["2.png", "'ab'"]], "which no reply can tell"),
        ("image_path,label", [["1.png", "a"], ["2.png", "b"]], "has one train sample"),
    ],
)
def test_a_bad_manifest_is_refused_and_nothing_is_registered(
    tmp_path: Path, lake: Lake, header: str, rows: list[list[str]], message: str
) -> None:
    root = write_manifest(tmp_path / "bad", header, rows)
    with pytest.raises(LayerhouseError, match=message) as caught:
        add(lake, "bad", root)
    assert caught.value.exit_code == 1
    assert list_commits(lake) == []


def test_missing_and_undecodable_images_are_counted_and_the_first_named(
    tmp_path: Path, lake: Lake
) -> None:
    root = write_manifest(tmp_path / "bad", FULL, split_rows())
    for name in ("a/val1.png", "b/train0.png"):
        (root / name).write_bytes(b"\x89PNG and no more")
    (root / "a/train0.png").unlink()
    with pytest.raises(LayerhouseError, match="3 of 12 images cannot be used; --skip-bad") as said:
        add(lake, "bad", root)
    listed = str(said.value).splitlines()[1:]
    assert "a/train0.png does not exist" in listed[0]
    assert "a/val1.png cannot be decoded" in listed[1]
    assert "b/train0.png cannot be decoded" in listed[2]
    assert list_commits(lake) == []


def test_folders_without_images_are_refused(tmp_path: Path, lake: Lake) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayerhouseError, match="is empty"):
        add(lake, "x", tmp_path / "empty")
    write_image(tmp_path / "flat" / "a.png", 0)
    with pytest.raises(LayerhouseError, match="holds no images in class folders"):
        add(lake, "x", tmp_path / "flat")


def test_copies_across_given_splits_are_warned_of(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "set", FULL, split_rows())
    shutil.copy(root / "a/train0.png", root / "a/test0.png")
    warnings = add(lake, "set", root).warnings
    expected = "1 identical images are in two splits, first a/train0.png and a/test0.png"
    assert expected in warnings


def test_a_run_that_was_stopped_before_its_end_is_completed(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    add(lake, "xray", root)
    (closing,) = [commit for commit in list_commits(lake) if commit.is_finish]
    (lake.commits_dir / f"{closing.commit_id}.json").unlink()
    assert resolve(lake, str(root)) == "xray"
    commits = list_commits(lake)
    assert [commit.is_finish for commit in commits] == [False, True]


def test_progress_counts_every_image(tmp_path: Path, lake: Lake) -> None:
    root = write_manifest(tmp_path / "xray", FULL, split_rows())
    seen: list[tuple[int, int]] = []
    add(lake, "xray", root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 12) for n in range(1, 13)]


@pytest.mark.parametrize("named", [0, 1, 23, 24])
def test_images_that_name_no_group_among_others_that_do_are_counted(
    tmp_path: Path, lake: Lake, named: int
) -> None:
    rows = ["image_path,label,group_id"]
    for index in range(24):
        write_image(tmp_path / "set" / f"{index:02d}.png", 5 * index)
        group = f"p{index // 2}" if index < named else ""
        rows.append(f"{index:02d}.png,{'ab'[index % 2]},{group}")
    (tmp_path / "set" / "manifest.csv").write_text("\n".join(rows))
    told = [w for w in add(lake, "set", tmp_path / "set").warnings if "name no group" in w]
    expected = f"{24 - named} of 24 images name no group and are groups of their own, "
    assert bool(told) == (named in (1, 23))
    assert all(w.startswith(f"{expected}first {named:02d}.png") for w in told)
