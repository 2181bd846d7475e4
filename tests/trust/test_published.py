"""A published folder that somebody else wrote to, or a disk damaged: the next publication of the
same lake leaves what the first one did, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.trust.fuzzing import HOSTILE, at, places
from tests.warehouse.small_lakes import small_lake
from warehouse.catalogue.refreshing import refresh
from warehouse.lake.lake import Lake
from warehouse.publishing.publishing import publish

FLIPS = int(os.environ.get("LAYERHOUSE_TRUST_FLIPS", "25")) // 5


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("publishing") / "lake")
    refresh(lake)
    return lake


@pytest.fixture(scope="module")
def out(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "marts"
    publish(lake, folder)
    assert publish(lake, folder) == []
    return folder


def _held(out: Path) -> dict[str, Any]:
    """What a folder holds, but for the time of its publication."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in out.iterdir()}
    found["build.json"] = {**json.loads(found["build.json"]), "built_at": ""}
    with duckdb.connect(str(out / "marts.duckdb"), read_only=True) as con:
        names = [
            name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        found["marts.duckdb"] = {
            name: sorted(con.execute(f'FROM "{name}"').fetchall(), key=repr)
            for name in names
            if name != "build"
        }
    return found


def _in_database(out: Path) -> None:
    with duckdb.connect(str(out / "marts.duckdb")) as con:
        con.execute("UPDATE mart_leaderboard SET model_id = 'mine'")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a cell": lambda out: (out / "mart_leaderboard.csv").write_text("model_id\nmine\n"),
    "another's file": lambda out: (out / "mart_leaderboard.parquet").write_bytes(
        (out / "mart_model_health.parquet").read_bytes()
    ),
    "a row of the database": _in_database,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_since_is_published_again(lake: Lake, out: Path, what: str) -> None:
    right = _held(out)
    CHANGES[what](out)
    assert _held(out) != right
    assert publish(lake, out)
    assert _held(out) == right
    assert publish(lake, out) == []


@pytest.mark.slow
def test_a_single_file_that_was_changed_is_published_again(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    publish(lake, path)
    assert publish(lake, path) == []
    _in_database(tmp_path)
    assert publish(lake, path) == [path]
    assert publish(lake, path) == []


def test_a_stamp_of_an_earlier_version_is_written_anew(lake: Lake, out: Path) -> None:
    right, stamp = _held(out), json.loads((out / "build.json").read_text())
    del stamp["files"]
    (out / "build.json").write_text(json.dumps(stamp))
    assert out / "build.json" in publish(lake, out)
    assert _held(out) == right


@pytest.mark.slow
def test_flipped_bits_do_not_last(lake: Lake, out: Path) -> None:
    right, chance, outcomes = _held(out), random.Random(0), Counter[str]()
    files = sorted(path for path in out.iterdir() if path.suffix != ".duckdb")
    for number in range(FLIPS):
        path = out / "build.json" if number % 3 == 0 else chance.choice(files)
        damaged = bytearray(path.read_bytes())
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        outcomes["published again" if publish(lake, out) else "left as it was"] += 1
        assert _held(out) == right, path
    print(f"flips of a publication: {dict(outcomes)}")  # noqa: T201 - figures for the note


@pytest.mark.slow
def test_a_stamp_may_say_anything(lake: Lake, out: Path) -> None:
    right, stamp = _held(out), json.loads((out / "build.json").read_text())
    chance, known = random.Random(0), [*places(stamp)]
    for _ in range(FLIPS):
        changed, place = json.loads(json.dumps(stamp)), chance.choice(known)
        at(changed, place[:-1])[place[-1]] = chance.choice(HOSTILE)
        (out / "build.json").write_text(json.dumps(changed))
        publish(lake, out)
        assert _held(out) == right, place
