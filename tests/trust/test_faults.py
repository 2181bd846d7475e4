"""Kills and full disks at some of the steps of the commands that write; `make soak` tries all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import COMMANDS, FULL, KILL, Command, Trial, check_given_again, check_whole
from tests.warehouse.small_lakes import small_lake
from warehouse.catalogue.refreshing import refresh
from warehouse.lake.lake import Lake

ROOT = Path(__file__).parents[2]


def _tried(*arguments: str) -> str:
    """In a process of its own, which is forked: this one may have run torch."""
    command = [sys.executable, "-m", "tests.faults", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_removal_survives_kills_and_full_disks() -> None:
    said = _tried("remove", "--every", "9")
    assert "kill → -9" in said
    assert "disk full → 1" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "remove"])
def test_every_command_survives_kills_and_full_disks(name: str) -> None:
    assert f"{name}: " in _tried(name, "--every", "17")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("kept") / "lake")
    refresh(lake)
    return lake


@pytest.fixture
def trial(kept: Lake, tmp_path: Path) -> Trial:
    shutil.copytree(kept.root, tmp_path / "lake")
    (tmp_path / "out").mkdir()
    (tmp_path / "errors.txt").write_text("Error: the disk is full\n")
    (tmp_path / "said.txt").write_text("digits: 4 samples\n")
    return Trial(Command(("datasets", "list"), "", ("answer",)), tmp_path)


def test_a_whole_lake_and_a_sentence_pass(trial: Trial) -> None:
    check_whole(trial, FULL, 1)
    check_whole(trial, KILL, -9)


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_lake_that_is_not_whole_is_noticed(trial: Trial, harm: str) -> None:
    (path,) = trial.lake.root.glob("dataset/*.parquet")
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AssertionError):
        check_whole(trial, KILL, -9)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "Error: unexpected failure, OSError: No space left"),
        (1, "Traceback (most recent call last)\nError: a"),
        (1, "Error: one\nError: two"),
        (1, ""),
        (2, "Error: a"),
        (70, ""),
    ],
)
def test_what_is_not_told_in_one_sentence_is_noticed(trial: Trial, code: int, said: str) -> None:
    (trial.folder / "errors.txt").write_text(said)
    with pytest.raises(AssertionError):
        check_whole(trial, FULL, code)


def test_another_end_is_noticed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "run", lambda _: 0)
    usual = trial.outcome()
    check_given_again(trial, usual)
    (trial.folder / "out" / "half").write_text("left")
    with pytest.raises(AssertionError):
        check_given_again(trial, usual)
    monkeypatch.setattr(Trial, "run", lambda _: 1)
    with pytest.raises(AssertionError):
        check_given_again(trial, trial.outcome())
