"""The score of a dataset: by default it follows from its classes, and it may be changed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from extract.datasets import AddOptions, add, fingerprints_of, fold, registered, set_score
from extract.datasets.balance import usual_score
from layerhouse.cli import layerhouse
from layerhouse.cli.shared import due_after_score
from tests.lakes import Signals, rest_on, synthetic_lake
from warehouse.catalogue import connect, dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

ACCURACY, BALANCED = "accuracy", "balanced_accuracy"


def table(folder: Path, counts: dict[str, int], *, name: str = "images.csv") -> Path:
    rng = np.random.default_rng(0)
    lines = ["image_path,label"]
    for label, count in counts.items():
        for i in range(count):
            file = f"{label}{i:02d}.png"
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / file)
            lines.append(f"{file},{label}")
    path = folder / name
    path.write_text("\n".join(lines))
    return path


def score_of(lake: Lake, name: str = "pets") -> str:
    with connect(lake) as wh:
        return dataset(wh, name).score


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ((50, 50), ACCURACY),
        ((62, 38), ACCURACY),
        ((63, 37), BALANCED),  # more than 1.25 times a half
        ((5, 4, 3), ACCURACY),  # just 1.25 times a third
        ((6, 4, 4), BALANCED),
        ((13, 5, 6, 8), BALANCED),
    ],
)
def test_the_usual_score_is_balanced_where_a_class_holds_much_more_than_its_share(
    counts: tuple[int, ...], score: str
) -> None:
    rows = [{"class_index": label} for label, n in enumerate(counts) for _ in range(n)]
    assert usual_score(rows, len(counts)) == score


def test_add_says_the_score_and_why_and_show_repeats_it(tmp_path: Path) -> None:
    path, lake = table(tmp_path, {"cat": 30, "dog": 10}), str(tmp_path / "lake")
    run = CliRunner().invoke(
        layerhouse, ["datasets", "add", "pets", str(path), "--lake", lake], catch_exceptions=False
    )
    assert (
        "Score: balanced_accuracy (the largest class, cat, holds 75% where an even share is 50%)"
        in run.output
    )
    shown = CliRunner().invoke(layerhouse, ["datasets", "show", "pets", "--lake", lake])
    assert "Score: balanced_accuracy" in shown.output


def test_the_score_may_be_chosen_and_stays_when_the_set_is_given_again(tmp_path: Path) -> None:
    path, lake = table(tmp_path, {"cat": 30, "dog": 10}), Lake.at(tmp_path / "lake")
    add(lake, "pets", path, AddOptions(score=ACCURACY))
    assert score_of(lake) == ACCURACY
    assert not add(lake, "pets", path).added
    assert score_of(lake) == ACCURACY
    before = fingerprints_of(lake, "pets")
    assert add(lake, "pets", path, AddOptions(score=BALANCED)).added
    assert score_of(lake) == BALANCED
    add(lake, "pets", path, AddOptions(title="Pets"))
    assert (score_of(lake), fingerprints_of(lake, "pets")) == (BALANCED, before)
    with pytest.raises(UsageError, match="did you mean balanced_accuracy"):
        AddOptions(score="balanced-accuracy")


def test_changing_the_score_changes_nothing_else(tmp_path: Path) -> None:
    path, lake = table(tmp_path, {"cat": 30, "dog": 10}), Lake.at(tmp_path / "lake")
    add(lake, "pets", path)
    fold(lake, "pets", 3)
    with connect(lake) as wh:
        tables = ("sample", "class", "sample_fold")
        before = [wh.sql(f"FROM {name} ORDER BY ALL").fetchall() for name in tables]
    known = fingerprints_of(lake, "pets")
    assert set_score(lake, "pets", ACCURACY)
    assert not set_score(lake, "pets", ACCURACY)
    with connect(lake) as wh:
        assert [wh.sql(f"FROM {name} ORDER BY ALL").fetchall() for name in tables] == before
        facts = "SELECT score, evaluation, n_folds, n_samples FROM dataset"
        assert wh.sql(facts).fetchall() == [(ACCURACY, "folds", 3, 40)]
    assert fingerprints_of(lake, "pets") == known
    assert set_score(lake, "pets", BALANCED)  # the one it had first
    assert score_of(lake) == BALANCED


def test_what_an_older_version_registered_keeps_accuracy_and_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lake = table(tmp_path, {"cat": 30, "dog": 10}), Lake.at(tmp_path / "lake")
    # which knew no score: none is in its commit
    monkeypatch.setattr("extract.datasets.registration.usual_score", lambda *_: None)
    add(lake, "pets", path)
    monkeypatch.undo()
    assert registered(lake)["pets"].score is None
    assert not add(lake, "pets", path).added
    assert score_of(lake) == ACCURACY


def test_images_without_labels_have_no_score_to_change(tmp_path: Path) -> None:
    path, lake = table(tmp_path, {"cat": 5}), str(tmp_path / "lake")
    path.write_text(path.read_text().replace("image_path,label", "image_path,note"))
    run = ["datasets", "add", "pets", str(path), "--unlabelled", "--lake", lake]
    assert "Score" not in CliRunner().invoke(layerhouse, run, catch_exceptions=False).output
    with pytest.raises(LayerhouseError, match="without labels"):
        set_score(Lake.at(lake), "pets", BALANCED)
    with pytest.raises(UsageError, match="did you mean pets"):
        set_score(Lake.at(lake), "petz", BALANCED)


@pytest.mark.slow
def test_a_new_score_says_what_is_to_run_and_no_more(tmp_path: Path) -> None:
    lake = synthetic_lake(tmp_path / "lake", {"b": Signals(), "a": Signals()}, n_samples=40)
    diagnose = [f"layerhouse diagnose --model {name} --dataset shapes" for name in "ab"]
    # What stood in until now was fitted for the score that the set has again.
    assert due_after_score(lake, "shapes", ACCURACY) == diagnose
    rest_on(lake, BALANCED)
    probe = [f"layerhouse probe --model {name} --dataset shapes" for name in "ab"]
    baseline, *others = due_after_score(lake, "shapes", BALANCED)[2:]
    assert due_after_score(lake, "shapes", BALANCED)[:2] == probe
    assert re.fullmatch(r"layerhouse baseline --architecture \S+ --dataset shapes", baseline)
    assert others == diagnose

    add(lake, "pets", table(tmp_path, {"cat": 30, "dog": 10}))
    run = ["datasets", "score", "pets", ACCURACY, "--lake", str(lake)]
    for said in (
        f"pets now rests on {ACCURACY}",
        f"Nothing to do: pets rests on {ACCURACY} already.",
    ):
        assert CliRunner().invoke(layerhouse, run).output == f"{said}\n"
