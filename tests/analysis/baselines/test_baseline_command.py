"""`baseline` on a real lake with real images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from analysis.baselines import baseline, known_architectures
from extract.datasets import add
from layerhouse.cli import layerhouse
from tests.analysis.activation_lake import dataset_lake
from tests.conftest import real_dataset
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits

DIGITS = 240
CLASSICAL = [a.name for a in known_architectures().values() if not a.is_deep]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The first scikit-learn digits, registered; tests share what they add."""
    splits = np.array(["train", "val", "train", "test"])[np.arange(DIGITS) % 4]
    return dataset_lake(
        tmp_path_factory.mktemp("digits") / "lake",
        load_digits().target[:DIGITS],
        splits,
        [f"sklearn-digits:{i}" for i in range(DIGITS)],
    )


@pytest.mark.parametrize("architecture", CLASSICAL)
def test_a_baseline_learns_the_digits_and_is_stored_once(digits: Lake, architecture: str) -> None:
    first = baseline(digits, "shapes", architecture)
    assert first.added
    assert first.test_accuracy > 0.75
    before = list_commits(digits)
    second = baseline(digits, "shapes", architecture)
    assert not second.added
    assert (second.baseline_id, second.run_id) == (first.baseline_id, first.run_id)
    assert second.test_accuracy == first.test_accuracy
    assert list_commits(digits) == before
    with connect(digits) as wh:
        counts = wh.sql(
            "SELECT split, count(*) FROM baseline_logit WHERE baseline_id = $1 GROUP BY ALL",
            [first.baseline_id],
        ).fetchall()
        kind, text = wh.sql(
            "SELECT kind, hyperparameters FROM baseline WHERE baseline_id = $1",
            [first.baseline_id],
        ).fetchall()[0]
    assert sorted(counts) == [("test", 60), ("val", 60)]
    assert kind == "classical"
    assert json.loads(text)["chosen"]


def test_an_unknown_architecture_is_refused_with_the_nearest(digits: Lake) -> None:
    with pytest.raises(UsageError, match="did you mean texture-svm"):
        baseline(digits, "shapes", "texture-swm")


def test_an_unknown_dataset_is_refused_with_the_nearest(digits: Lake) -> None:
    with pytest.raises(UsageError, match="did you mean shapes"):
        baseline(digits, "shape", "pixels-logistic")


def test_an_image_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    uris = [f"sklearn-digits:{i}" for i in range(39)] + [str(tmp_path / "gone.png")]
    splits = np.array(["train", "val", "train", "test"])[np.arange(40) % 4]
    lake = dataset_lake(tmp_path / "lake", load_digits().target[:40], splits, uris)
    before = list_commits(lake)
    with pytest.raises(LayerhouseError, match=r"gone\.png"):
        baseline(lake, "shapes", "pixels-logistic")
    assert list_commits(lake) == before


def test_an_empty_split_is_refused_by_name(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", [0, 1], ["train", "test"], ["a", "b"])
    with pytest.raises(LayerhouseError, match="no val sample"):
        baseline(lake, "shapes", "pixels-logistic")


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", [0, 1, 1], ["train", "val", "test"], ["a", "b", "c"])
    with pytest.raises(LayerhouseError, match="one class only"):
        baseline(lake, "shapes", "pixels-logistic")


@pytest.mark.slow
def test_a_class_that_train_never_showed_is_never_named(tmp_path: Path) -> None:
    target = load_digits().target
    zeros, ones, twos = (np.flatnonzero(target == digit) for digit in (0, 1, 2))
    chosen = [*zeros[:12], *ones[:12], *twos[:2]]
    splits = [*(["train", "val", "test"] * 8), "val", "test"]
    lake = dataset_lake(
        tmp_path / "lake", target[chosen], splits, [f"sklearn-digits:{i}" for i in chosen]
    )
    for architecture in CLASSICAL:
        baseline(lake, "shapes", architecture)
    with connect(lake) as wh:
        named = wh.sql("SELECT DISTINCT predicted_class_index FROM baseline_logit").fetchall()
        widths = wh.sql("SELECT DISTINCT len(logits) FROM baseline_logit").fetchall()
    assert {index for (index,) in named} == {0, 1}
    assert widths == [(3,)]


def test_what_is_told_is_the_score_that_the_diagnosis_counts_by(tmp_path: Path) -> None:
    """Where one class holds most images, accuracy says another number."""
    rng = np.random.default_rng(0)
    for number in range(60):
        path = tmp_path / "pets" / ("cat" if number % 4 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
    lake = Lake.at(tmp_path / "lake")
    add(lake, "pets", tmp_path / "pets")
    typed = ["baseline", "--dataset", "pets", "--architecture", "pixels-logistic"]
    said = CliRunner().invoke(layerhouse, [*typed, "--lake", str(lake.root)])
    with connect(lake) as wh:
        ((accuracy, balanced),) = wh.sql(
            "SELECT accuracy, balanced_accuracy FROM baseline_accuracy WHERE split = 'test'"
        ).fetchall()
    assert f"{accuracy:.3f}" != f"{balanced:.3f}"
    assert f"test balanced accuracy {balanced:.3f}" in said.stdout


def test_colour_is_used_where_images_have_it(tmp_path: Path) -> None:
    """Red and green squares of one brightness differ by colour only."""
    rng = np.random.default_rng(0)
    uris, classes = [], []
    for i in range(48):
        pixels = rng.integers(0, 40, (8, 8, 3), dtype=np.uint8)
        pixels[..., i % 2] += 100
        path = tmp_path / f"{i}.png"
        Image.fromarray(pixels).save(path)
        uris.append(str(path))
        classes.append(i % 2)
    splits = np.array(["train", "train", "val", "val", "test", "test"])[np.arange(48) % 6]
    lake = dataset_lake(tmp_path / "lake", classes, splits, uris)
    assert baseline(lake, "shapes", "pixels-logistic").test_accuracy == 1


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("busi_ultrasound", 0.66), ("nih_cxr_pneumonia", 0.76), ("bccd_cells", 0.96)],
)
@pytest.mark.slow
def test_texture_reads_the_real_medical_images(tmp_path: Path, name: str, at_least: float) -> None:
    """Two standard errors below 0.74, 0.82 and 1.00, which is what it reads."""
    folder = real_dataset(name)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["label"] for row in rows})
    lake = dataset_lake(
        tmp_path / "lake",
        [labels.index(row["label"]) for row in rows],
        [row["split"] for row in rows],
        [str(folder / row["image_path"]) for row in rows],
        side=256,
    )
    summary = baseline(lake, "shapes", "texture-svm")
    assert summary.test_accuracy >= at_least
