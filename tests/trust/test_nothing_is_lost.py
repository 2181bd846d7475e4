"""Whatever happens to the files of a lake, no repair loses what might be data."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stderr, redirect_stdout
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from layerhouse.cli import main
from tests.warehouse.small_lakes import (
    activation_rows,
    add_dataset,
    add_extraction,
    extract_spec,
    rows_of,
    small_lake,
)
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.freeing import free
from warehouse.lake.lake import Lake
from warehouse.lake.repairing import repair, restore
from warehouse.lake.runs import RunWriter
from warehouse.lake.standing import list_commits
from warehouse.status import status

LOCI = (("vision", 0), ("vision", 1), ("llm", 0))
TABLES = ("answer", "activation", "sample", "dataset")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return small_lake(tmp_path_factory.mktemp("kept") / "lake")


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _status(lake: Lake, *options: str) -> str:
    """What `layerhouse status` says; it never fails, whatever it says of the lake."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit) as ended:
        main(["status", *options, "--lake", str(lake.root)])
    assert ended.value.code in (0, 1, None), out.getvalue()
    assert "nexpected failure" not in out.getvalue()
    return out.getvalue()


def _commit(lake: Lake, n: int) -> Commit:
    return next(each for each in list_commits(lake, command="extract") if each.n == n)


def _record(lake: Lake, n: int) -> Path:
    return lake.commits_dir / f"{_commit(lake, n).commit_id}.json"


def _shards(lake: Lake) -> set[bytes]:
    return {path.read_bytes() for path in lake.root.rglob("*.parquet")}


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_record_that_was_lost_and_is_put_back_brings_back_its_shards(lake: Lake, n: int) -> None:
    before, shards = rows_of(lake, *TABLES), _shards(lake)
    record = _record(lake, n)
    text = record.read_bytes()
    record.unlink()
    assert "Quarantined" in _status(lake, "--repair")
    assert _shards(lake) >= shards
    assert free(lake) == []
    _status(lake)
    record.write_bytes(text)
    _status(lake)
    said = _status(lake, "--repair")
    assert "Brought back from quarantine" in said
    assert rows_of(lake, *TABLES) == before
    assert status(lake, verify=True).damaged == []


@pytest.mark.slow
@pytest.mark.parametrize("part", ["shards first", "records first", "half of the records"])
def test_a_lake_that_is_half_copied_is_whole_once_all_of_it_is_there(
    kept: Lake, tmp_path: Path, part: str
) -> None:
    lake = Lake.at(tmp_path / "copy")
    records = sorted(kept.commits_dir.glob("*.json"))
    early = {"shards first": [], "records first": records, "half of the records": records[::2]}
    lake.commits_dir.mkdir(parents=True)
    for record in early[part]:
        shutil.copy(record, lake.commits_dir)
    if part != "records first":
        for path in kept.root.rglob("*.parquet"):
            target = lake.root / path.relative_to(kept.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    _status(lake)
    _status(lake, "--repair")
    assert free(lake) == []
    for path in [*records, *kept.root.rglob("*.parquet")]:  # the copy goes on, as rsync does
        target = lake.root / path.relative_to(kept.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path, target)
    _status(lake, "--repair")
    assert rows_of(lake, *TABLES) == rows_of(kept, *TABLES)


HARMS = ("lost", "damaged", "a shard damaged")


@pytest.mark.parametrize(
    ("n", "harm"),
    [
        pytest.param(n, harm, marks=() if (n, harm) == (1, "damaged") else pytest.mark.slow)
        for n, harm in product((0, 1, 2), HARMS)
    ],
)
def test_given_again_a_command_does_exactly_what_is_missing(lake: Lake, n: int, harm: str) -> None:
    before, record = rows_of(lake, *TABLES), _record(lake, n)
    shard = lake.root / _commit(lake, n).shards[0].path
    others = [each.commit_id for each in list_commits(lake) if each.commit_id != record.stem]
    if harm == "lost":
        record.unlink()
    elif harm == "damaged":
        record.write_bytes(record.read_bytes().replace(b"extract", b"Extract"))
    else:
        shard.write_bytes(shard.read_bytes()[::-1])
    _status(lake)
    _status(lake, "--repair")
    assert "Unfinished" in _status(lake)
    assert "Quarantined" not in _status(lake, "--repair")
    add_extraction(lake)
    assert rows_of(lake, *TABLES) == before
    assert {each.commit_id for each in list_commits(lake)} >= set(others)
    assert "Unfinished" not in _status(lake)
    assert "Unfinished" not in _status(lake, "--repair"), "a gap is marked once"


@pytest.mark.slow
def test_a_record_that_comes_back_after_its_work_was_done_again_doubles_nothing(lake: Lake) -> None:
    before, record = rows_of(lake, *TABLES), _record(lake, 0)
    text = record.read_bytes()
    record.unlink()
    _status(lake, "--repair")
    add_extraction(lake)
    record.write_bytes(text)
    with pytest.raises(LayerhouseError, match=r"done again by .* --repair"):
        connect(lake)
    _status(lake)
    (taken,) = repair(lake)
    assert taken.commit_id == record.stem
    add_extraction(lake)
    assert rows_of(lake, *TABLES) == before


def test_what_no_record_can_name_any_more_is_freed_on_request(lake: Lake) -> None:
    """A killed writer left a shard; the next one of its number wrote others."""
    commit = _commit(lake, 1)
    dead = lake.root / "logit_lens" / "model=x" / "dataset=y" / f"part-{commit.commit_id}.parquet"
    open_end = lake.root / "model" / f"part-{commit.run_id}-9.parquet"
    for path in (dead, open_end):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    _status(lake, "--repair")
    (aside,) = lake.root.glob(f"quarantine/*/{dead.relative_to(lake.root)}")
    said = _status(lake, "--free", "--dry-run")
    assert f"Would delete: {aside.relative_to(lake.root)}" in said
    assert aside.exists()
    _status(lake, "--free")
    assert not aside.exists()
    assert list(lake.root.glob(f"quarantine/*/model/{open_end.name}")), "its record may yet come"


CELLS = [[module, layer, ["mean", "grid"]] for module, layer in LOCI]


def _range(lake: Lake, start: int, stop: int, *, layer: int | None = None, **config: Any) -> None:
    """What an extraction commits of some samples, in all cells or those of one layer."""
    cells = [cell for cell in CELLS if layer in (None, cell[1])]
    samples = [f"s{number}" for number in range(start, stop)]
    loci = tuple((module, at) for module, at, _ in cells)
    covers = {"start": start, "stop": stop, "cells": cells, "answers": []}
    with RunWriter(lake, extract_spec(**config)) as writer:
        writer.commit({"activation": activation_rows(samples, loci=loci)}, covers=covers)


AGAIN: dict[str, list[dict[str, Any]]] = {
    "in smaller ranges": [{"start": 0, "stop": 1}, {"start": 1, "stop": 2}],
    "in a larger range": [{"start": 0, "stop": 3}],
    "shifted": [{"start": 1, "stop": 3}],
    "by another run": [{"start": 0, "stop": 2, "batch": 7}],
    "one layer alone, by another run": [{"start": 0, "stop": 2, "layer": 1, "batch": 7}],
}


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(again, id=name, marks=() if name == "shifted" else pytest.mark.slow)
        for name, again in AGAIN.items()
    ],
)
def test_a_record_that_comes_back_after_other_ranges_did_its_work_doubles_nothing(
    tmp_path: Path, again: list[dict[str, Any]]
) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    _range(lake, 0, 2)
    _range(lake, 3, 4)
    record = _record(lake, 0)
    text = record.read_bytes()
    record.unlink()
    _status(lake, "--repair")
    for one in again:
        _range(lake, **one)
    whole = rows_of(lake, "activation")
    record.write_bytes(text)
    restore(lake)
    with pytest.raises(LayerhouseError, match=rf"{record.stem} .* done again by .* --repair"):
        connect(lake)
    assert record.stem in [each.commit_id for each in repair(lake)]
    assert rows_of(lake, "activation") == whole


def test_ranges_side_by_side_and_other_cells_are_no_work_twice(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    for start in range(4):
        _range(lake, start, start + 1, layer=0)
    for start in (0, 2):
        _range(lake, start, start + 2, layer=1, batch=7)
    with connect(lake) as wh:
        assert len(wh.sql("FROM activation").fetchall()) == 4 * len(CELLS) * 2
