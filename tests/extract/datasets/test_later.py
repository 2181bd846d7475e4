"""After registration: images that change under a dataset, and images that never had labels."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import layerhouse
from analysis.audit import audit
from analysis.baselines import baseline
from analysis.diagnosis import diagnose
from analysis.probes import probe
from extract.datasets import AddOptions, ReadOptions, add
from extract.engines import extract_with_workers
from extract.running import extract
from extract.sharing import ExtractRequest, prompt_for
from tests.checks import broken
from tests.tables import tables
from warehouse.catalogue import changed_samples, connect, dataset
from warehouse.errors import LayerhouseError
from warehouse.images import RegisteredImage, changed_images, changes, image_sha256
from warehouse.lake.lake import Lake
from warehouse.status import status
from warehouse.validation import validate

TINY = "tiny-digits"
REQUEST = ExtractRequest(TINY, "set", modules=("vision",), layers=("0",), preparers=0)


def images(root: Path, n: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for label in ("one", "zero"):
        (root / label).mkdir(parents=True)
        for index in range(n):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{index}.png")
    return root


def archive(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    arrays = {"train_images": rng.integers(0, 255, (20, 8, 8), dtype=np.uint8)}
    np.savez(path, **arrays, train_labels=np.arange(20) % 2)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


def changed(lake: Lake) -> list[str]:
    with tables(lake) as warehouse:
        return [image.sample_id for _, image in changed_samples(warehouse)]


@pytest.mark.slow
def test_swapped_images_are_found_by_whoever_reads_images_and_by_validate(
    tmp_path: Path, lake: Lake
) -> None:
    root = images(tmp_path / "set")
    add(lake, "set", root)
    assert changed(lake) == []
    for index in range(10):
        one, zero = root / "one" / f"{index}.png", root / "zero" / f"{index}.png"
        swapped = one.read_bytes(), zero.read_bytes()
        zero.write_bytes(swapped[0])
        one.write_bytes(swapped[1])
    with pytest.raises(LayerhouseError, match=r"20 of 20 images of set have changed .* one/0\.png"):
        extract(lake, REQUEST)
    for look in (partial(baseline, architecture="pixels-logistic"), audit):
        with pytest.raises(LayerhouseError, match="20 of 20 images of set have changed"):
            look(lake, "set")
    report = validate(lake)
    (failure,) = [c for c in report.failures if c.name == "image_unchanged"]
    assert "one/0.png" in failure.detail


def test_the_same_bytes_are_the_same_image_and_what_is_gone_is_no_other(
    tmp_path: Path, lake: Lake
) -> None:
    root = images(tmp_path / "set")
    add(lake, "set", root)
    touched, copied, gone, damaged, other = (root / "one" / f"{n}.png" for n in range(5))
    os.utime(touched, ns=(1, 1))
    shutil.copyfile(copied, tmp_path / "copy.png")
    (tmp_path / "copy.png").replace(copied)
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:30])
    Image.new("L", (9, 9), 7).save(other)
    with tables(lake) as warehouse:
        ids = set(dataset(warehouse, "set").samples["sample_id"])
        found = [image.sample_id for _, image in changed_samples(warehouse, "set")]
        assert found == ["one/4.png"]
        assert not changed_samples(warehouse, "set", ids - {"one/4.png"})
        assert not changed_samples(warehouse, "another")


def test_items_of_an_archive_are_told_apart(tmp_path: Path, lake: Lake) -> None:
    path = archive(tmp_path / "set.npz", seed=0)
    add(lake, "set", path)
    with np.load(path) as held:
        arrays = dict(held)
    arrays["train_images"] = arrays["train_images"].copy()
    arrays["train_images"][7] = 0
    np.savez(path, **arrays)
    assert changed(lake) == ["train/00007"]


def test_an_image_whose_file_was_not_noted_is_compared_by_hash(tmp_path: Path) -> None:
    root = images(tmp_path / "set", n=2)
    files = [str(path) for path in sorted(root.rglob("*.png"))]
    registered = [RegisteredImage(uri, uri, image_sha256(uri), None) for uri in files]
    assert changed_images(registered) == []
    Image.new("L", (8, 8), 3).save(files[2])
    assert [image.uri for image in changed_images(registered)] == [files[2]]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that are read to be hashed; files count as settled at once."""
    read: list[str] = []

    def counted(uri: str) -> str:
        read.append(uri)
        return image_sha256(uri)

    monkeypatch.setattr(changes, "image_sha256", counted)
    monkeypatch.setattr(changes, "SETTLED_NS", -1)
    return read


@pytest.fixture
def registered(tmp_path: Path) -> list[RegisteredImage]:
    """Four images whose files were not noted, as lakes of earlier versions have them."""
    files = [str(path) for path in sorted(images(tmp_path / "set", n=2).rglob("*.png"))]
    return [RegisteredImage(uri, uri, image_sha256(uri), None) for uri in files]


def test_what_was_read_once_is_not_read_again(
    tmp_path: Path, registered: list[RegisteredImage], hashed: list[str]
) -> None:
    memory = tmp_path / "images.seen"
    for n_read in (4, 4):
        assert changed_images(registered, memory) == []
        assert len(hashed) == n_read
    os.utime(registered[0].uri, ns=(1, 1))
    changed_images(registered, memory)
    assert hashed[4:] == [registered[0].uri]
    changed_images(registered)  # without a memory all are
    assert len(hashed) == 9


def test_each_machine_of_a_lake_in_a_bucket_remembers_for_itself(
    tmp_path: Path, hashed: list[str]
) -> None:
    pytest.importorskip("obstore", reason="lakes in buckets need obstore")
    root = tmp_path / "set"
    for n in range(8):
        path = root / "ab"[n % 2] / f"{n}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 9 * n).save(path)
    here, there = (Lake(tmp_path / name, "memory:///seen") for name in ("here", "there"))
    add(here, "set", root)
    for path in root.rglob("*.bmp"):
        os.utime(path, ns=(1, 1))
    for lake, n_read in ((here, 8), (here, 0), (there, 8), (there, 0)):
        hashed.clear()
        with tables(lake) as wh:
            assert changed_samples(wh, "set") == []
        assert len(hashed) == n_read
    (root / "a" / "0.bmp").write_bytes((root / "b" / "1.bmp").read_bytes())
    for lake in (here, there):
        with tables(lake) as wh:
            assert [image.sample_id for _, image in changed_samples(wh, "set")] == ["a/0.bmp"]


def _written_over(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def _put_in_its_place(path: Path, other: bytes) -> None:
    path.with_suffix(".new").write_bytes(other)
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("change", [_written_over, _put_in_its_place])
def test_size_and_time_that_were_set_back_hide_nothing(
    tmp_path: Path, registered: list[RegisteredImage], hashed: list[str], change: Any
) -> None:
    memory, image = tmp_path / "images.seen", registered[1]
    path = Path(image.uri)
    assert changed_images(registered, memory) == []
    known, before = path.stat(), path.read_bytes()
    other = Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    other.save(tmp_path / "other.bmp")
    change(path, (tmp_path / "other.bmp").read_bytes()[: known.st_size].ljust(known.st_size, b"x"))
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert path.stat().st_size == known.st_size
    changed_images(registered, memory)
    assert hashed[4:] == [image.uri]
    other.save(path)
    assert changed_images(registered, memory) == [image]
    path.write_bytes(before)
    assert changed_images(registered, memory) == []


@pytest.mark.parametrize("held", [b"", b"no mark", b"x" * 4096, None])
def test_a_memory_that_cannot_be_used_costs_time_alone(
    tmp_path: Path, registered: list[RegisteredImage], hashed: list[str], held: bytes | None
) -> None:
    memory = tmp_path / "images.seen"
    if held is None:
        memory.mkdir()
    else:
        memory.write_bytes(held)
    assert changed_images(registered, memory) == []
    assert len(hashed) == 4


def test_a_file_that_has_just_changed_is_not_trusted(
    tmp_path: Path,
    registered: list[RegisteredImage],
    hashed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within one tick of the clock of files it may change again and look the same."""
    monkeypatch.setattr(changes, "SETTLED_NS", 10**15)
    for n_read in (4, 8):
        assert changed_images(registered, tmp_path / "images.seen") == []
        assert len(hashed) == n_read


def test_images_whose_files_have_other_times_are_read_once_for_a_lake(
    tmp_path: Path, lake: Lake, hashed: list[str]
) -> None:
    root = images(tmp_path / "set")
    add(lake, "set", root)
    for path in root.rglob("*.png"):  # copied from elsewhere: other times than those noted
        os.utime(path, ns=(1, 1))
    for _ in range(2):
        assert changed(lake) == []
        assert len(hashed) == 20


# -- without labels -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Twenty images in two folders, registered without labels, and their vectors."""
    folder = tmp_path_factory.mktemp("unlabelled")
    lake = Lake.at(folder / "lake")
    options = AddOptions(reading=ReadOptions(unlabelled=True))
    result = add(lake, "set", images(folder / "set"), options)
    assert (result.n_samples, result.n_classes) == (20, 0)
    extract(lake, REQUEST)
    return lake


def test_images_without_labels_are_extracted_and_read(unlabelled: Lake) -> None:
    with connect(unlabelled) as warehouse:
        info = dataset(warehouse, "set")
        (cell,) = warehouse.sql("SELECT DISTINCT layer FROM activation").fetchall()
        vectors, samples = warehouse.activations(TINY, "set", "vision", cell[0], "mean")
        told = warehouse.sql(
            "SELECT count(*), count(class_index) FROM activations($1, 'set', 'vision', $2, 'mean')",
            [TINY, cell[0]],
        ).fetchall()
        answers = warehouse.sql("SELECT count(*) FROM answer").fetchall()
    assert info.classes == []
    assert vectors.shape[0] == samples.height == 20
    assert samples["class_index"].null_count() == samples["label"].null_count() == 20
    assert (told, answers) == ([(20, 0)], [(0,)])


@pytest.mark.parametrize(
    "command",
    [
        lambda lake: probe(lake, TINY, "set"),
        lambda lake: diagnose(lake, TINY, "set"),
        lambda lake: baseline(lake, "set", "texture-svm"),
        lambda lake: extract(lake, ExtractRequest(TINY, "set", faults=("swap@vision:0.5",))),
    ],
    ids=["probe", "diagnose", "baseline", "fault"],
)
def test_what_needs_labels_says_so_in_one_sentence(unlabelled: Lake, command: object) -> None:
    with pytest.raises(LayerhouseError, match="set was registered without labels, which a"):
        command(unlabelled)  # type: ignore[operator]


def test_nothing_is_left_to_do_for_images_without_labels(unlabelled: Lake) -> None:
    (pair,) = status(unlabelled).pairs
    assert pair.next_command is None


def test_a_lake_with_unlabelled_images_is_valid(unlabelled: Lake) -> None:
    assert broken(unlabelled) == set()
    with pytest.raises(LayerhouseError, match="there is nothing to report about set"):
        layerhouse.report(dataset="set", out="report.html", lake=unlabelled)


def test_a_table_and_a_deep_folder_need_no_labels(tmp_path: Path, lake: Lake) -> None:
    root = images(tmp_path / "study" / "a" / "b")
    unlabelled = AddOptions(reading=ReadOptions(unlabelled=True))
    assert add(lake, "deep", tmp_path / "study", unlabelled).n_samples == 20
    (root / "manifest.csv").write_text(
        "image_path,group_id\n" + "".join(f"one/{n}.png,p{n // 2}\n" for n in range(10))
    )
    result = add(lake, "table", root, unlabelled)
    assert (result.n_samples, result.n_classes) == (10, 0)
    with tables(lake) as warehouse:
        assert dataset(warehouse, "table").samples["group_id"].n_unique() == 5


def test_a_link_that_leads_nowhere_says_where(tmp_path: Path, lake: Lake) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 9).save(tmp_path / "set" / name)
    (tmp_path / "set/a/3.png").symlink_to("gone.png")
    with pytest.raises(LayerhouseError, match=r"it is a link to gone\.png, which is not there"):
        add(lake, "set", tmp_path / "set")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_to_be_read_of_a_dataset_given_by_its_path_is_told_once(
    tmp_path: Path, lake: Lake, workers: int
) -> None:
    request = replace(REQUEST, dataset=str(images(tmp_path / "set")))
    told = "splits were made: 12 train, 4 val, 4 test"
    assert extract_with_workers(lake, request, workers).notes.count(told) == 1
    assert told not in extract_with_workers(lake, request, workers).notes


def test_the_prompt_of_a_dataset_given_by_its_path_is_shown(tmp_path: Path, lake: Lake) -> None:
    lake.commits_dir.mkdir(parents=True)
    prompt = prompt_for(lake, TINY, str(images(tmp_path / "set")))
    assert "one, zero" in prompt.text
