"""Joining small commits on the command line, and what checks and publications make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerhouse.cli import main
from tests.warehouse.small_lakes import add_dataset, answer_row, extract_spec
from warehouse.lake.compacting import FEWEST
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.publishing.publishing import publish
from warehouse.validation.running import validate


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    lake = Lake.at(tmp_path / "lake")
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(lake.root))
    add_dataset(lake, FEWEST)
    for n in range(FEWEST):
        covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
        RunWriter(lake, extract_spec()).commit({"answer": [answer_row(f"s{n}")]}, covers)
    return lake


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.usefixtures("lake")
def test_what_can_be_joined_is_said_joined_and_freed(capsys: pytest.CaptureFixture[str]) -> None:
    run = extract_spec().run_id
    what = f"{run}: {FEWEST} commits in {FEWEST} records and {FEWEST + 1} shards, "
    said = _run(capsys, "compact", "--dry-run")
    assert said.startswith(f"Would join {what}")
    assert said.endswith("to one record and 2 shards\n")
    said = _run(capsys, "compact")
    assert said.startswith(f"Joined {what}")
    assert said.endswith("`layerhouse status --free` deletes what was joined.\n")
    assert _run(capsys, "compact") == "Nothing to join: no run has many small commits.\n"
    assert f"Removed or joined, never read: {FEWEST + 1} files" in _run(capsys, "status")
    freed = f"Deleted of what was removed or joined: {2 * FEWEST + 1} files"
    assert freed in _run(capsys, "status", "--free")
    said = _run(capsys, "sql", "SELECT count(*), count(DISTINCT joined_by) FROM commit_record")
    assert f"{FEWEST + 2}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("lake")
def test_status_says_where_joining_pays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "compact" not in _run(capsys, "status")
    monkeypatch.setattr("layerhouse.cli.status.MANY_RECORDS", FEWEST - 1)
    said = _run(capsys, "status")
    assert f"Small commits: {FEWEST - 1} records fewer" in said
    assert "`layerhouse compact`" in said
    _run(capsys, "compact")
    assert "Small commits" not in _run(capsys, "status")


@pytest.mark.slow
def test_a_publication_stays_up_to_date(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(lake, tmp_path / "bi.duckdb")
    _run(capsys, "compact")
    _run(capsys, "status", "--free")
    assert publish(lake, tmp_path / "bi.duckdb") == []


@pytest.mark.slow
def test_validate_finds_the_same_and_sees_damage_in_what_was_joined(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {check.name: check.passed for check in validate(lake).checks}
    _run(capsys, "compact")
    assert {check.name: check.passed for check in validate(lake).checks} == before
    _run(capsys, "status", "--free")
    path = next(lake.root.glob("answer/*/*/part-compact-*.parquet"))
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    after = {check.name: check.passed for check in validate(lake).checks}
    assert [name for name in before if before[name] != after[name]] != []
