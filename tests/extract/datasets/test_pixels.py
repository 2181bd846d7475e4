"""What a dataset decides about pixels is chosen once, told, stored, and the same for all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydicom import Dataset, Sequence
from pydicom.uid import BasicTextSRStorage

from analysis.baselines.images import read_images
from extract.datasets import (
    AddOptions,
    AddResult,
    add,
    add_per_label,
    pixel_options,
    registered,
    resolve,
)
from tests.tables import tables
from tests.warehouse.images.dicom_files import dicom, write
from warehouse.catalogue import dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image
from warehouse.lake import Lake

N = 6
"""Images of each of two classes."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


def folder(root: Path, write_one: Callable[[Path, int], object]) -> Path:
    """Two classes of images that `write_one(path without suffix, number)` writes."""
    for number in range(2 * N):
        path = root / ("a", "b")[number % 2] / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_one(path, number)
    return root


def arrays(dtype: str, low: float, high: float) -> Callable[[Path, int], object]:
    """TIFFs of noise whose first pixel is `low` and last pixel `high`."""

    def write_one(path: Path, number: int) -> None:
        values = np.random.default_rng(number).uniform(low, high, (8, 8)).astype(dtype)
        values[0, 0], values[-1, -1] = low, high
        Image.fromarray(values).save(path.with_suffix(".tif"))

    return write_one


def uris(lake: Lake, name: str = "set") -> list[str]:
    with tables(lake) as warehouse:
        return dataset(warehouse, name).samples["uri"].to_list()


def rule(lake: Lake, name: str = "set") -> str | None:
    with tables(lake) as warehouse:
        found = warehouse.sql("SELECT pixel_rule FROM dataset WHERE dataset_id = $1", [name])
        return found.fetchall()[0][0]  # type: ignore[no-any-return]


def with_pixels(**options: Any) -> AddOptions:
    return AddOptions(pixels=pixel_options(**options))


def told(result: AddResult) -> str:
    return "\n".join(result.warnings)


# -- which values are black and white ---------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "low", "high", "shown"),
    [
        ("uint16", 0, 255, "0,255"),
        pytest.param("uint16", 3, 1000, "0,1023", marks=pytest.mark.slow),
        pytest.param("uint16", 16, 4080, "0,4095", marks=pytest.mark.slow),
        ("uint16", 5, 16000, "0,16383"),
        pytest.param("int32", 0, 4095, "0,4095", marks=pytest.mark.slow),
        ("float32", 0, 1, "0,1"),
    ],
)
def test_the_smallest_depth_that_holds_all_values_is_chosen_and_told(
    tmp_path: Path, lake: Lake, dtype: str, low: float, high: float, shown: str
) -> None:
    result = add(lake, "set", folder(tmp_path / "set", arrays(dtype, low, high)))
    assert all(uri.endswith(f"#range={shown}") for uri in uris(lake))
    text = rule(lake)
    assert text is not None
    assert f"values 0…{float(shown.split(',')[1]):,.6g} are shown black…white" in text
    assert text in told(result)
    assert result.summary.facts["Pixel rule"] == text
    top = max(np.asarray(open_image(uri)).max() for uri in uris(lake))
    assert result.summary.facts["Shown"].endswith(f"…{top}")
    assert top > 240


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("int32", -1000, 3000),
        pytest.param("float32", -2, 8, marks=pytest.mark.slow),
        pytest.param("float32", 0, 30, marks=pytest.mark.slow),
    ],
)
def test_values_without_a_depth_are_shown_between_percentiles_of_train(
    tmp_path: Path, lake: Lake, dtype: str, low: float, high: float
) -> None:
    result = add(lake, "set", folder(tmp_path / "set", arrays(dtype, low, high)))
    with tables(lake) as warehouse:
        train = dataset(warehouse, "set").samples.filter(split="train")["uri"]
    stored = np.concatenate(
        [np.asarray(Image.open(uri.split("#")[0])).ravel() for uri in train]
    ).astype(float)
    first, last = map(float, uris(lake)[0].split("range=")[1].split(","))
    step = (high - low) / 65535
    assert abs(first - np.quantile(stored, 0.005, method="inverted_cdf")) <= step
    assert abs(last - np.quantile(stored, 0.995, method="inverted_cdf")) <= step
    assert "percentiles 0.5 and 99.5 of train" in told(result)
    assert f"({((stored < first) | (stored > last)).mean():.1%} lie outside)" in told(result)


def test_sixteen_bits_and_eight_are_opened_as_ever(tmp_path: Path, lake: Lake) -> None:
    add(lake, "deep", folder(tmp_path / "deep", arrays("uint16", 0, 65535)))
    add(lake, "flat", folder(tmp_path / "flat", arrays("uint8", 0, 255)))
    said = {"deep": "values 0…65,535 are shown black…white, all of 16 bits", "flat": None}
    for name, text in said.items():
        assert rule(lake, name) == text
        assert not any("#" in uri for uri in uris(lake, name))
        assert registered(lake)[name].fingerprint == of_earlier_versions(lake, name)


def of_earlier_versions(lake: Lake, name: str) -> str:
    """The identity that a Layerhouse gave which knew of no preparations."""
    with tables(lake) as warehouse:
        info = dataset(warehouse, name)
    columns = ("sample_id", "sha256", "class_index", "split", "group_id")
    samples = sorted(info.samples.select(columns).iter_rows())
    content = [[(row.label, row.phrase) for row in info.classes], samples]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"shown": "100,2000"}, "100,2000"),
        pytest.param({"shown": (100, 2000)}, "100,2000", marks=pytest.mark.slow),
        ({"window": "1000,400"}, "800,1200"),
        pytest.param({"window": (0.5, 1)}, "0,1", marks=pytest.mark.slow),
    ],
)
def test_a_range_or_window_may_be_asked_for(
    tmp_path: Path, lake: Lake, options: dict[str, Any], shown: str
) -> None:
    result = add(
        lake, "set", folder(tmp_path / "set", arrays("uint16", 0, 4095)), with_pixels(**options)
    )
    assert all(uri.endswith(f"#range={shown}") for uri in uris(lake))
    assert "as asked for" in (rule(lake) or "")
    assert "more than 8 bits" not in told(result)


def test_percentiles_may_be_asked_for(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "set", arrays("uint16", 0, 4095))
    add(lake, "set", root, with_pixels(shown="10%,90%"))
    assert "percentiles 10 and 90 of train (19.9%" in (rule(lake) or "")
    first, last = map(float, uris(lake)[0].split("range=")[1].split(","))
    assert 200 < first < 600 < 3400 < last < 3900


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shown": "0,4095", "window": "1,2"}, "give one of them"),
        ({"shown": "4095,0"}, "the first value must lie below the second"),
        ({"shown": "0%,101%"}, "the first value must lie below the second"),
        ({"shown": "a,b"}, "--range 'a,b' is not of the form LOW,HIGH"),
        ({"shown": "5"}, "--range '5' is not of the form LOW,HIGH"),
        ({"window": "40,0"}, "the width must be positive"),
        ({"frame": "first"}, "--frame 'first' is no frame; give a number from 1, middle or all"),
        ({"frame": 0}, "--frame '0' is no frame"),
        ({"background": "transparent-ish"}, "is no colour"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pixel_options(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shown": "0,4095"}, "--range and --window are for images of more than 8 bits"),
        ({"frame": "middle"}, "--frame middle: no image has several frames or pages"),
    ],
)
def test_options_that_mean_nothing_to_the_images_are_refused(
    tmp_path: Path, lake: Lake, options: dict[str, Any], message: str
) -> None:
    root = folder(tmp_path / "set", arrays("uint8", 0, 255))
    with pytest.raises(UsageError, match=message):
        add(lake, "set", root, with_pixels(**options))


def test_dark_images_and_holes_are_told(tmp_path: Path, lake: Lake) -> None:
    dark = folder(tmp_path / "dark", arrays("uint16", 0, 20))
    assert "no pixel is brighter than 20 of 255" in told(add(lake, "dark", dark))

    masks = folder(tmp_path / "masks", arrays("uint8", 0, 2))
    said = told(add(lake, "masks", masks))
    assert "brighter than 2 of 255; where that is not meant to be, scale them, since 8 bits" in said

    def outlier(path: Path, number: int) -> None:
        values = np.full((16, 16), 100 + number, np.uint16)
        values[0, 0] = 65535
        Image.fromarray(values).save(path.with_suffix(".png"))

    said = told(add(lake, "outlier", folder(tmp_path / "outlier", outlier)))
    assert "12 of 12 images of more than 8 bits are darker than 64 of 255 but for a hundr" in said

    def of_two_scanners(path: Path, number: int) -> None:
        values = np.full((8, 8), number * (300 if number % 2 else 5000), np.uint16)
        Image.fromarray(values).save(path.with_suffix(".png"))

    said = told(add(lake, "two", folder(tmp_path / "two", of_two_scanners)))
    assert "images of more than 8 bits are darker than 64" in said

    def with_hole(path: Path, number: int) -> None:
        values = np.full((8, 8), number / 20, np.float32)
        values[0, 0] = np.nan
        Image.fromarray(values).save(path.with_suffix(".tif"))

    result = add(lake, "holes", folder(tmp_path / "holes", with_hole))
    assert "12 images have pixels that are no number, which are shown black" in told(result)


def scans(**elements: Any) -> Callable[[Path, int], object]:
    def write_one(path: Path, number: int) -> None:
        values = np.random.default_rng(number).integers(-1000, 2000, (8, 8)).astype("<i2")
        write(path, dicom(values, **elements))

    return write_one


def test_dicom_keeps_its_windows_unless_others_are_asked_for(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "ct", scans(WindowCenter=40, WindowWidth=400))
    result = add(lake, "own", root)
    assert rule(lake, "own") == "DICOM is shown by its own window or depth"
    assert "range=" not in "".join(uris(lake, "own"))
    assert "more than 8 bits" not in told(result)
    add(lake, "lung", root, with_pixels(window="-600,1500"))
    assert all(uri.endswith("#range=-1350,150") for uri in uris(lake, "lung"))
    bare = add(lake, "bare", folder(tmp_path / "bare", scans()))
    assert "12 DICOM images have no window" in told(bare)


def test_pixels_that_are_not_square_are_told_and_stored(tmp_path: Path, lake: Lake) -> None:
    result = add(lake, "ct", folder(tmp_path / "ct", scans(PixelSpacing=[1, 2])))
    assert "12 images have pixels that are not square, as their files say" in told(result)
    assert "pixels that are not square are stretched until they are" in str(rule(lake, "ct"))


# -- frames -----------------------------------------------------------------------------------


def pages(path: Path, number: int) -> None:
    images = [Image.new("L", (4, 4), 20 * page + number) for page in range(1, 5)]
    images[0].save(path.with_suffix(".tif"), save_all=True, append_images=images[1:])


def test_several_pages_are_refused_with_the_way_out(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "set", pages)
    with pytest.raises(LayerhouseError, match=r"holds 4 pages.*--frame middle.*--frame all"):
        add(lake, "set", root)


@pytest.mark.parametrize(("frame", "page"), [("middle", 2), ("4", 4), (1, 1)])
def test_one_page_of_each_file_is_taken(
    tmp_path: Path, lake: Lake, frame: str | int, page: int
) -> None:
    result = add(lake, "set", folder(tmp_path / "set", pages), with_pixels(frame=frame))
    assert result.n_samples == 2 * N
    for uri in uris(lake):
        number = int(Path(uri.split("#")[0]).stem)
        assert np.asarray(open_image(uri)).max() == 20 * page + number
    assert rule(lake) == f"frame {frame} of files that hold several (12 images)"


def test_all_pages_become_images_of_one_group(tmp_path: Path, lake: Lake) -> None:
    def mixed(path: Path, number: int) -> None:
        if number == 0:
            Image.new("L", (4, 4), 7).save(path.with_suffix(".tif"))
        else:
            pages(path, number)

    root = folder(tmp_path / "set", mixed)
    result = add(lake, "set", root, with_pixels(frame="all"))
    assert result.n_samples == 4 * (2 * N - 1) + 1
    with tables(lake) as warehouse:
        samples = dataset(warehouse, "set").samples
    assert samples["group_id"].n_unique() == 2 * N
    assert samples["sha256"].n_unique() == result.n_samples
    per_group = samples.group_by("group_id").agg(pl.col("split").n_unique())
    assert per_group["split"].max() == 1
    assert samples.filter(group_id="b/1.tif")["sample_id"].to_list() == [
        f"b/1.tif#frame-{number}" for number in (1, 2, 3, 4)
    ]
    assert add(lake, "set", root, with_pixels(frame="all")).added is False
    with pytest.raises(LayerhouseError, match="samples are new"):
        add(lake, "set", root, with_pixels(frame="middle"))


def test_a_file_that_has_no_such_frame_is_named(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(LayerhouseError, match=r"0\.tif has no frame 5; it holds 4 pages"):
        add(lake, "set", folder(tmp_path / "set", pages), with_pixels(frame=5))


# -- transparency and identity ----------------------------------------------------------------


def cut_out(path: Path, number: int) -> None:
    pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(np.eye(4) > 0, 255, 0)
    Image.fromarray(pixels).save(path.with_suffix(".png"))


def test_the_background_is_told_stored_and_part_of_the_identity(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "set", cut_out)
    assert "12 images have transparent parts, which lie on black" in told(add(lake, "set", root))
    assert rule(lake) == "transparent parts lie on black"
    assert registered(lake)["set"].fingerprint != of_earlier_versions(lake, "set")
    with pytest.raises(LayerhouseError, match=r"12 samples are opened otherwise, first a/0\.png"):
        add(lake, "set", root, with_pixels(background="white"))
    add(lake, "white", root, with_pixels(background="#ffffff"))
    assert all(uri.endswith("#on=ffffff") for uri in uris(lake, "white"))
    assert np.asarray(open_image(uris(lake, "white")[0]))[0, 1].tolist() == [255, 255, 255]


def test_what_an_earlier_version_read_otherwise_is_another_dataset(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "set", cut_out)
    with monkeypatch.context() as earlier:
        earlier.setattr("extract.datasets.checking._readings", lambda *_: {})
        add(lake, "set", root)
    with pytest.raises(
        LayerhouseError, match="an earlier Layerhouse did not read its transparency"
    ):
        add(lake, "set", root)


@pytest.mark.slow
def test_a_run_on_what_an_earlier_version_read_otherwise_is_refused(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = {
        "cut-out": folder(tmp_path / "cut-out", cut_out),
        "flat": folder(tmp_path / "flat", arrays("uint8", 0, 255)),
        "windowed": folder(tmp_path / "ct", scans(WindowCenter=40, WindowWidth=400)),
    }
    with monkeypatch.context() as earlier:
        earlier.setattr("extract.datasets.checking._readings", lambda *_: {})
        earlier.setattr("extract.datasets.registration.READING", 1)
        for name, root in roots.items():
            add(lake, name, root)
    with pytest.raises(
        LayerhouseError, match=r"read 12 of its images otherwise \(transparency, first"
    ):
        resolve(lake, "cut-out")
    for name in ("flat", "windowed"):
        before = registered(lake)[name].fingerprint
        assert resolve(lake, name) == name  # which notes that it was looked at
        assert registered(lake)[name].fingerprint == before
        assert not add(lake, name, roots[name]).added


def test_a_run_on_oblong_pixels_that_were_not_stretched_is_refused(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = {
        "oblong": folder(tmp_path / "oblong", scans(PixelSpacing=[1, 2])),
        "square": folder(tmp_path / "square", scans(PixelSpacing=[1, 1])),
        "cut-out": folder(tmp_path / "cut-out", cut_out),
    }
    with monkeypatch.context() as earlier:
        earlier.setattr("warehouse.images.dicom._pixel_size", lambda *_: (1.0, 1.0))
        earlier.setattr("extract.datasets.registration.READING", 2)
        for name, root in roots.items():
            add(lake, name, root)
    with pytest.raises(LayerhouseError, match=r"read 12 of its images otherwise \(pixel shape, fi"):
        resolve(lake, "oblong")
    with pytest.raises(LayerhouseError, match=r"did not read its .*pixel shape"):
        add(lake, "oblong", roots["oblong"])
    for name in ("square", "cut-out"):
        assert resolve(lake, name) == name
        assert not add(lake, name, roots[name]).added


def test_a_run_on_pixels_that_went_round_a_modality_table_is_refused(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Dataset()
    held.add_new("LUTDescriptor", "SS", [400, -200, 16])
    held.add_new("LUTData", "US", list(range(400)))

    def far(path: Path, number: int) -> None:
        values = np.random.default_rng(number).integers(-300, 300, (8, 8)).astype("<i2")
        values[0, 0] = 32767
        write(path, dicom(values, ModalityLUTSequence=Sequence([held])))

    roots = {
        "far": folder(tmp_path / "far", far),
        "oblong": folder(tmp_path / "oblong", scans(PixelSpacing=[1, 2])),
    }
    with monkeypatch.context() as earlier:
        earlier.setattr("extract.datasets.checking._readings", lambda *_: {})
        earlier.setattr("extract.datasets.registration.READING", 3)
        for name, root in roots.items():
            add(lake, name, root)
    with pytest.raises(LayerhouseError, match=r"12 of its images otherwise \(modality table, fi"):
        resolve(lake, "far")
    assert resolve(lake, "oblong") == "oblong"  # 3 stretched them


def test_a_window_of_no_width_gives_way_to_one_that_is_asked_for(
    tmp_path: Path, lake: Lake
) -> None:
    root = folder(tmp_path / "ct", scans(WindowCenter=0, WindowWidth=0))
    with pytest.raises(LayerhouseError, match=r"a window of width 0 .*--window CENTER"):
        add(lake, "ct", root)
    result = add(lake, "ct", root, AddOptions(pixels=pixel_options(window="40,400")))
    assert result.summary.facts["Shown"] == "8-bit RGB, values 0…255"
    assert all("range=-160,240" in uri for uri in uris(lake, "ct"))


def test_findings_share_one_rule(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "set", arrays("float32", -3, 9))
    found = add_per_label(lake, "set", root)
    assert uris(lake, "set_a") == uris(lake, "set_b")
    assert "range=" in uris(lake, "set_a")[0]
    assert ["more than 8 bits" in told(result) for result in found] == [True, False]


# -- what archives and downloads bring --------------------------------------------------------


def test_an_export_of_an_archive_is_read_by_content(tmp_path: Path, lake: Lake) -> None:
    """Files without suffix, with an index and a report among them; as a folder and in a table."""

    def scan(path: Path, number: int) -> None:
        values = np.random.default_rng(number).integers(0, 4096, (8, 8)).astype("<u2")
        write(path, dicom(values, BitsStored=12, PatientID=f"p{number // 4}"))

    root = folder(tmp_path / "ct", scan)
    (root / "a" / "README").write_text("no image")
    result = add(lake, "ct", root)
    assert result.n_samples == 2 * N
    assert "1 files that are no images were left out" in told(result)
    assert result.summary.facts["Groups"].startswith("3 groups of 12 images; groups are the 3 Pat")
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in root.glob("*/[0-9]*")]
    (root / "manifest.csv").write_text("\n".join(["image_path,label", *rows]))
    assert add(lake, "table", root).n_samples == 2 * N
    report = dicom(np.zeros((8, 8), np.uint8))
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.SOPClassUID = BasicTextSRStorage
    write(root / "a" / "SR0001", report)
    (root / "manifest.csv").unlink()
    with pytest.raises(LayerhouseError, match=r"SR0001 is DICOM without an image: Basic Text SR"):
        add(lake, "ct", root)


def test_a_volume_in_an_archive_of_arrays_is_cut(tmp_path: Path, lake: Lake) -> None:
    arrays: dict[str, Any] = {}
    for split, n in {"train": 8, "val": 4, "test": 4}.items():
        volumes = np.random.default_rng(n).integers(0, 256, (n, 5, 7, 7), dtype=np.uint8)
        arrays |= {f"{split}_images": volumes, f"{split}_labels": np.arange(n) % 2}
    np.savez(tmp_path / "nodule.npz", **arrays)
    add(lake, "set", tmp_path / "nodule.npz", with_pixels(frame="middle"))
    found = uris(lake)
    assert all(uri.endswith("&frame=3") for uri in found)
    first = next(uri for uri in found if "val_images/0" in uri)
    assert np.array_equal(np.asarray(open_image(first))[..., 0], arrays["val_images"][0, 2])


def test_baselines_know_how_images_are_opened(tmp_path: Path, lake: Lake) -> None:
    root = folder(tmp_path / "set", arrays("uint16", 0, 65535))
    found = set()
    for name, options in {"whole": {}, "narrow": {"shown": "0,100"}}.items():
        add(lake, name, root, with_pixels(**options))
        with tables(lake) as warehouse:
            images = read_images(warehouse, name)
        found.add(images.fingerprint)
        assert images.each(lambda image: image.getextrema()[0][1]) == [255] * (2 * N)
    assert len(found) == 2


@pytest.mark.parametrize("ending", ["#frame=2.tif", "#on=white.tif", "&range=0,1.tif"])
def test_a_name_that_looks_like_a_decision_is_a_name(
    tmp_path: Path, lake: Lake, ending: str
) -> None:
    place = folder(tmp_path / "images", arrays("uint16", 1, 4000))
    named = (place / "a" / "0.tif").rename(place / "a" / f"x{ending}")
    add(lake, "d", str(place))
    (uri,) = [uri for uri in uris(lake, "d") if ending in uri]
    assert uri.startswith(str(named))
    assert open_image(uri).size == (8, 8)


@pytest.mark.parametrize("ending", ["#frame=2", "&on=white", "#frame=1&range=0,1"])
def test_a_file_whose_name_is_a_decision_is_to_be_renamed(
    tmp_path: Path, lake: Lake, ending: str
) -> None:
    place = folder(tmp_path / "images", lambda path, n: write(path, dicom(np.eye(8) * n)))
    named = (place / "a" / "0").rename(place / "a" / f"x{ending}")
    with pytest.raises(LayerhouseError) as caught:
        add(lake, "d", str(place))
    assert f"{named} ends in {ending}, which says how a file is opened; rename it" in str(
        caught.value
    )
