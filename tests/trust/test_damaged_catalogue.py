"""A damaged catalogue is built anew from the shards, whatever the damage; none of it is served."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from layerhouse.cli import main
from tests.warehouse.old_catalogues import kept as kept_archives, unpack
from tests.warehouse.small_lakes import add_extraction, rows_of, small_lake
from warehouse.catalogue import refreshing
from warehouse.catalogue.currency import opened_if_current
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.catalogue.soundness import DAMAGED, catalogue_is_sound, log_of, note_built
from warehouse.lake.lake import Lake
from warehouse.vocabulary import VECTOR_TABLES

FLIPS = int(os.environ.get("LAYERHOUSE_TRUST_FLIPS", "12"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("catalogue") / "lake")
    refresh(lake)
    return lake


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _everything(lake: Lake) -> dict[str, Any]:
    with connect(lake) as wh:
        names = [*SHIPPED.views, *SHIPPED.marts, "sample", "answer", "run", "commit_record"]
        return {
            name: sorted(wh.sql(f'FROM "{name}"').fetchall(), key=repr)
            for name in names
            if name not in VECTOR_TABLES
        }


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, kept: Lake) -> list[Lake]:
    """Which lakes were built anew; that takes a copy of the sound catalogue here."""
    sound, found = kept.catalogue.read_bytes(), []

    def build(lake: Lake, **_: object) -> None:
        found.append(lake)
        target = lake.root / "catalog.building"
        target.write_bytes(sound)
        note_built(lake, target)
        target.replace(lake.catalogue)

    monkeypatch.setattr(refreshing, "build", build)
    return found


def test_any_flipped_bit_is_seen_and_the_catalogue_is_built_anew(
    lake: Lake, builds: list[Lake]
) -> None:
    right, chance, sound = _everything(lake), random.Random(0), lake.catalogue.read_bytes()
    for number in range(FLIPS):
        damaged = bytearray(sound)
        place = chance.randrange(12288 if number % 3 == 0 else len(sound))
        damaged[place] ^= 1 << chance.randrange(8)
        lake.catalogue.write_bytes(damaged)
        refresh(lake)
        assert lake.catalogue.read_bytes() == sound, place
    assert _everything(lake) == right
    assert len(builds) == FLIPS
    print(f"flips of a catalogue: {FLIPS} built anew")  # noqa: T201 - figures for the note


@pytest.mark.slow
def test_a_flipped_bit_of_a_catalogue_of_an_earlier_version_is_never_served(
    tmp_path: Path,
) -> None:
    """These have no checksum of their file beside them."""
    chance, outcomes = random.Random(0), Counter[str]()
    for number in range(max(FLIPS // 5, 4)):
        migration = chance.choice(kept_archives())
        lake = unpack(migration, tmp_path / str(number))
        expected = _tables(Lake.at(shutil.copytree(lake.root, tmp_path / f"{number}-sound")))
        damaged = bytearray(lake.catalogue.read_bytes())
        place = chance.randrange(12288 if number % 3 == 0 else len(damaged))
        damaged[place] ^= 1 << chance.randrange(8)
        lake.catalogue.write_bytes(damaged)
        assert _tables(lake) == expected, (migration, place)
        outcomes[migration] += 1
    print(f"flips of earlier catalogues: {sum(outcomes.values())} of {len(outcomes)} versions")  # noqa: T201


def _tables(lake: Lake) -> dict[str, Any]:
    return rows_of(lake, "sample", "answer", "run", "commit_record", "activation")


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 12288, 300_000, -1])
def test_one_that_was_cut_short_is_built_anew(lake: Lake, builds: list[Lake], size: int) -> None:
    sound = lake.catalogue.read_bytes()
    lake.catalogue.write_bytes(sound[:size])
    refresh(lake)
    assert lake.catalogue.read_bytes() == sound
    assert builds == [lake]


def test_damage_that_left_no_date_behind_is_met_when_it_is_read(lake: Lake) -> None:
    """A disk errs: no file has another date. DuckDB's own checksums see it then."""
    about, sound = lake.catalogue.stat(), lake.catalogue.read_bytes()
    outcomes, chance = Counter[str](), random.Random(0)
    right = _everything(lake)
    for _ in range(FLIPS // 3):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        lake.catalogue.write_bytes(damaged)
        os.utime(lake.catalogue, ns=(about.st_atime_ns, about.st_mtime_ns))
        try:
            con = opened_if_current(lake)
            if con is None:
                outcomes["built anew"] += 1
                continue
            con.close()
            assert _everything(lake) == right
            outcomes["served right"] += 1
        except duckdb.Error as error:
            outcomes["refused" if DAMAGED in str(error) else str(error)] += 1
    assert set(outcomes) <= {"built anew", "served right", "refused"}
    assert outcomes["refused"] + outcomes["built anew"]
    print(f"flips without a date: {dict(outcomes)}")  # noqa: T201 - figures for the note


@pytest.mark.slow
def test_the_command_that_meets_it_takes_the_catalogue_out(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise duckdb.Error("Corrupt database file: computed checksum 1 does not match")

    with monkeypatch.context() as patched:
        patched.setattr("layerhouse.cli.sql.write_relation", damaged)
        code, said = _said(capsys, "sql", "FROM sample", "--lake", str(lake.root))
    assert code == 1
    assert "was damaged and was deleted; give the command again" in said
    code, said = _said(capsys, "sql", "SELECT count(*) FROM sample", "--lake", str(lake.root))
    assert (code, said.split()[-1]) == (0, "4")


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    said = capsys.readouterr()
    return ended.value.code or 0, said.out + said.err


def _foreign(path: Path) -> bytes:
    """What DuckDB left of a process that was killed while it wrote to a file of that name."""
    source = path / "catalog.duckdb"
    con = duckdb.connect(str(source), config={"checkpoint_threshold": "1GB"})
    con.execute("CREATE TABLE mine AS SELECT 1")
    found = source.with_name("catalog.duckdb.wal").read_bytes()
    con.close()
    return found


LOGS: dict[str, Callable[[Path], bytes]] = {
    "another's": _foreign,
    "empty": lambda _: b"",
    "no log": lambda _: b"what is this" * 100,
}


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_beside_it_is_not_taken_in(
    lake: Lake, tmp_path: Path, builds: list[Lake], kind: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    log_of(lake).write_bytes(LOGS[kind](tmp_path / "elsewhere"))
    refresh(lake)
    assert builds == [lake]
    assert not log_of(lake).exists()
    with connect(lake) as wh:
        assert "mine" not in {name for (name,) in wh.sql("SHOW TABLES").fetchall()}


@pytest.mark.slow
def test_what_somebody_else_wrote_into_it_is_gone(lake: Lake) -> None:
    right = _everything(lake)
    with duckdb.connect(str(lake.catalogue)) as con:
        con.execute("UPDATE answer SET predicted_class_index = 0")
    assert not catalogue_is_sound(lake)
    assert _everything(lake) == right
    add_extraction(lake, "another")
    assert refresh(lake)
    assert catalogue_is_sound(lake)


@pytest.mark.parametrize("note", [b"", b"{}", b'[["a"]]', b"[[1, 2, 3]]", None])
def test_a_note_that_says_nothing_is_no_reason_to_fail(
    lake: Lake, builds: list[Lake], note: bytes | None
) -> None:
    path = lake.root / "catalog.check"
    if note is None:
        path.unlink()
    else:
        path.write_bytes(note)
    assert refresh(lake) is (note is not None)
    assert builds == [lake] * (note is not None)
    assert not refresh(lake)
