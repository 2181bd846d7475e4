"""The short form of `make soak`: a few kills −9 over extraction, catalogue building and reading."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak import contents, read_until
from tests.warehouse.small_lakes import activation_rows, add_dataset, extract_spec
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_misread_when_processes_are_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--kills", "5"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 5 kills" in done.stdout


SAMPLES = ["s0", "s1", "s2", "s3"]


def half_a_range(writer: RunWriter) -> None:
    writer.commit({"activation": activation_rows(SAMPLES[:2])}, covers={"start": 0})


def range_in_some_loci(writer: RunWriter) -> None:
    writer.commit({"activation": activation_rows(SAMPLES)}, covers={"start": 0})
    writer.commit({"activation": activation_rows(["s4", "s5", "s6", "s7"])[:4]}, {"start": 4})


def range_twice(writer: RunWriter) -> None:
    for name in ("one", "other"):
        writer.commit({"activation": activation_rows(SAMPLES)}, covers={"prompts": [name]})


@pytest.mark.slow
@pytest.mark.parametrize("plant", [half_a_range, range_in_some_loci, range_twice])
def test_the_soak_s_reader_notices(plant: Callable[[RunWriter], None], tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    with RunWriter(lake, extract_spec()) as writer:
        plant(writer)
    with pytest.raises(AssertionError):
        read_until(lake, tmp_path / "stop")


def test_the_soak_notices_a_row_that_is_there_twice(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    with RunWriter(lake, extract_spec()) as writer:
        range_twice(writer)
    with pytest.raises(AssertionError, match="written twice"):
        contents(lake)
