"""`layerhouse mend` on the shipped model, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layerhouse.test_cli import run

LAKE = "lake"
NAMED = ("--model", "tiny-digits", "--dataset", "digits", "--lake", LAKE)
DAMAGED = ("--fault", "damage@answer:0.6")


@pytest.mark.slow
def test_a_damaged_head_is_mended_at_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer") == 2
    assert "there is no lake" in capsys.readouterr().err
    assert run("extract", *NAMED, *DAMAGED) == 0
    assert run("mend", *NAMED, "--stage", "answer") == 1
    assert "has no answers on digits" in capsys.readouterr().err
    assert run("mend", *NAMED, *DAMAGED) == 1
    assert "diagnose it, or name what to mend with --stage" in capsys.readouterr().err
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer", "--budget", "some") == 2
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer") == 0
    first = capsys.readouterr().out
    assert "Advice: answer/label-rows (640 trained parameters, " in first
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer") == 0
    again = capsys.readouterr().out
    assert "(trained before)" in again
    assert again.splitlines()[2:] == first.splitlines()[2:]
    assert run("validate", "--lake", LAKE) == 0
