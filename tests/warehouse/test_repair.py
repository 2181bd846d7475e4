"""A repair takes out what is damaged, whole commits only, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue import connect
from warehouse.commits import list_commits
from warehouse.lake import Lake
from warehouse.repair import repair
from warehouse.runs import RunSpec, RunWriter
from warehouse.status import status

SPEC = RunSpec("datasets-add", None, "more", {"path": "somewhere"})


def _row(name: str) -> dict[str, object]:
    return {"dataset_id": name, "title": name, "n_samples": 0, "n_classes": 0, "licence": None}


def _write(lake: Lake) -> None:
    with RunWriter(lake, SPEC) as writer:
        for name in ("one", "two"):
            writer.commit({"dataset": [_row(name)]}, covers={"name": name})
        writer.finish()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = synthetic_lake(tmp_path / "lake", {"alpha": Signals()}, n_samples=20)
    _write(lake)
    return lake


def _names(lake: Lake) -> list[str]:
    with connect(lake) as wh:
        return [name for (name,) in wh.sql("SELECT dataset_id FROM dataset ORDER BY 1").fetchall()]


def _files(lake: Lake) -> dict[str, bytes]:
    kept = (".json", ".parquet")
    return {
        path.relative_to(lake.root).as_posix(): path.read_bytes()
        for path in lake.root.rglob("*")
        if path.suffix in kept and "quarantine" not in path.parts
    }


def test_a_sound_lake_is_left_alone(lake: Lake) -> None:
    before = _files(lake)
    assert repair(lake) == []
    assert _files(lake) == before
    assert not (lake.root / "quarantine").exists()


@pytest.mark.parametrize("how", ["flipped", "cut", "removed", "record"])
def test_damage_is_taken_out_and_the_next_run_makes_the_lake_whole(lake: Lake, how: str) -> None:
    first = next(c for c in list_commits(lake) if c.covers.get("name") == "one")
    path = lake.root / next(s.path for s in first.shards if s.table == "dataset")
    record = lake.commits_dir / f"{first.commit_id}.json"
    sound = path.read_bytes()
    if how == "flipped":
        path.write_bytes(sound[:40] + bytes([sound[40] ^ 1]) + sound[41:])
    elif how == "cut":
        path.write_bytes(sound[:-7])
    elif how == "removed":
        path.unlink()
    else:
        record.write_text("{")
    taken = repair(lake)
    assert [each.commit_id for each in taken] == [first.commit_id]
    moved = lake.root / taken[0].folder
    assert (moved / "commits" / record.name).exists()
    assert (moved / path.relative_to(lake.root)).exists() == (how != "removed")
    assert not record.exists()
    assert _names(lake) == ["shapes", "two"]
    report = status(lake, verify=True)
    assert (report.damaged, report.leftovers, report.problem) == ([], [], None)
    assert [run.run_id for run in report.unfinished] == [first.run_id]
    _write(lake)
    assert _names(lake) == ["one", "shapes", "two"]
    assert repair(lake) == []
