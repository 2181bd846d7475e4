"""A repair takes out what is damaged, whole commits only, and says so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import UNSAID
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.repairing import Swept, repair, sweep
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits
from warehouse.status import status

SPEC = RunSpec("datasets-add", None, "more", {"path": "somewhere"})


def _row(name: str) -> dict[str, object]:
    return {"dataset_id": name, "title": name, "n_samples": 0, "n_classes": 0, **UNSAID}


def _write(lake: Lake) -> None:
    with RunWriter(lake, SPEC) as writer:
        for name in ("one", "two"):
            writer.commit({"dataset": [_row(name)]}, covers={"audit": name})
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


@pytest.mark.parametrize(
    "how",
    [
        "flipped",
        pytest.param("cut", marks=pytest.mark.slow),
        pytest.param("removed", marks=pytest.mark.slow),
        "record",
    ],
)
def test_damage_is_taken_out_and_the_next_run_makes_the_lake_whole(lake: Lake, how: str) -> None:
    first = next(c for c in list_commits(lake) if c.covers.get("audit") == "one")
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


def _left(lake: Lake, path: str, hours: float) -> None:
    """A file nobody committed, last touched so long ago."""
    target = lake.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"left")
    then = time.time() - 3600 * hours
    os.utime(target, (then, then))


def test_a_copy_that_a_program_for_syncing_made_is_called_so_and_goes_alone(lake: Lake) -> None:
    """As "… (1).json" or "… (conflicted copy).json" beside the record itself."""
    before = _names(lake)
    record = next((lake.root / "commits").iterdir())
    copied = record.with_name(f"{record.stem} (1).json")
    copied.write_bytes(record.read_bytes())
    with pytest.raises(LayerhouseError, match=rf"a copy of that of {record.stem}, to be taken"):
        _names(lake)
    assert [each.commit_id for each in repair(lake)] == [copied.stem]
    assert not copied.exists()
    assert record.exists()
    assert _names(lake) == before


def test_what_killed_writers_left_is_cleared_away(lake: Lake) -> None:
    for path in [*_files(lake), "commits/lock"]:  # age alone is no reason
        os.utime(lake.root / path, (0, 0))
    before = _files(lake)
    dead = ["commits/a-0.json.tmp", "dataset/a-0.tmp"]
    unnamed = ["dataset/part-a-0.parquet", "dataset/part-a-1.parquet"]
    spared = ["dataset/a-1.tmp"]
    others = ["mine.parquet", "dataset/mine.parquet", "notes/a.tmp", "quarantine/t/a.tmp"]
    for path in dead + unnamed[:1] + others:
        _left(lake, path, hours=25)
    for path in spared + unnamed[1:]:
        _left(lake, path, hours=0)
    swept = sweep(lake)
    assert sorted(each.path for each in swept.deleted) == dead
    assert sorted(each.path for each in swept.set_aside) == unnamed
    assert not any((lake.root / path).exists() for path in dead + unnamed)
    assert all((lake.root / swept.folder / path).exists() for path in [*unnamed, "why.txt"])
    assert all((lake.root / path).exists() for path in spared + others)
    assert {path: before[path] for path in before} == {
        path: content for path, content in _files(lake).items() if path in before
    }
    assert _left_by(sweep(lake)) == ([], [])


def _left_by(swept: Swept) -> tuple[list[str], list[str]]:
    deleted, set_aside = swept.deleted, swept.set_aside
    return [each.path for each in deleted], [each.path for each in set_aside]


def test_shards_are_spared_where_a_record_cannot_be_read(lake: Lake) -> None:
    record = lake.commits_dir / f"{list_commits(lake)[0].commit_id}.json"
    record.write_text("{")
    _left(lake, "dataset/part-a-0.parquet", hours=25)
    _left(lake, "dataset/a-0.tmp", hours=25)
    assert _left_by(sweep(lake)) == (["dataset/a-0.tmp"], [])
