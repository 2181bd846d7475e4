"""A lake from a stranger: whatever it says, nothing is run, nothing outside is read or written.

What a record says is either refused in one sentence that names the file, or served as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings, strategies as st

from extract.anatomy import Anatomy, Locus
from layerhouse.cli import main
from tests.trust.fuzzing import FUZZED, HOSTILE, Field, examples, fields_of, written_otherwise
from tests.warehouse.small_lakes import (
    DATASET,
    add_dataset,
    add_extraction,
    answer_row,
    resealed,
    rows_of,
    small_lake,
    tampered,
)
from warehouse.catalogue.construction import builder
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.files import checksum
from warehouse.lake import covering, records
from warehouse.lake.commits import Commit
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.freeing import free
from warehouse.lake.history import find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.removing import remove
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits
from warehouse.publishing.publishing import publish
from warehouse.schema import tables
from warehouse.status import status
from warehouse.storage.objects import objects_at
from warehouse.untrusted import MOST_DEPTH, UnfitError, parse_json
from warehouse.vocabulary import VECTOR_TABLES

SMALL = sorted(set(tables()) - set(VECTOR_TABLES))


def _steal(secret: Path, out: Path) -> str:
    """The name of a table that is SQL: it copies a file out."""
    return (
        'model" BY NAME SELECT * FROM "model"; '
        f"COPY (SELECT content FROM read_text('{secret}')) TO '{out}' (FORMAT csv); "
        "SELECT $files --"
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A dataset, an extraction, one that was joined, and a removal."""
    lake = small_lake(tmp_path_factory.mktemp("trust") / "lake")
    with RunWriter(lake, RunSpec("extract", "joined", DATASET, {})) as writer:
        for n in range(FEWEST):
            covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
            writer.commit({"answer": [answer_row(f"s{n}", model_id="joined")]}, covers=covers)
    assert all(one.joined for one in compact(lake))
    free(lake)
    with RunWriter(lake, RunSpec("extract", "gone", DATASET, {})) as writer:
        covers = {"start": 0, "stop": 2, "cells": [], "answers": ["generate"]}
        writer.commit({"answer": [answer_row("s0", model_id="gone")]}, covers=covers)
        writer.finish()
    remove(lake, "model", "gone")
    refresh(lake)
    return lake


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _change(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(resealed(record))


def _record(lake: Lake, command: str = "datasets") -> Path:
    return next(lake.commits_dir.glob(f"{command}-*-0.json"))


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


# What once worked.


def test_a_table_that_is_sql_runs_nothing(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret, out = tmp_path / "secret.txt", tmp_path / "stolen.csv"
    secret.write_text("the secret")
    path = _record(lake)
    _change(path, lambda record: record["shards"][0].update(table=_steal(secret, out)))
    code, said = _said(capsys, "sql", "SELECT 1", "--lake", str(lake.root))
    assert code == 1
    assert all(part in said for part in (path.name, "shards[0].table", "--repair"))
    code, said = _said(capsys, "status", "--lake", str(lake.root))
    assert code == 1
    assert said.count("shards[0].table") == 2  # as what is damaged, and as why there is no more
    assert "Traceback" not in said
    assert not out.exists()


def test_nor_does_it_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(tmp_path / "cache"))
    secret, out = tmp_path / "secret.txt", tmp_path / "stolen.csv"
    secret.write_text("the secret")
    lake = small_lake("memory://trust-sql")
    objects = objects_at(str(lake))
    record = json.loads(objects.read("commits/0000000000.json"))
    record["shards"][0]["table"] = _steal(secret, out)
    objects.delete(["commits/0000000000.json"])
    objects.create("commits/0000000000.json", resealed(record).encode())
    with pytest.raises(LayerhouseError, match="not a table"):
        connect(lake)
    assert [each.path.startswith("commits/") for each in status(lake).damaged] == [True]
    assert not out.exists()


def test_a_table_s_name_never_reaches_sql_as_text(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a record ever get past its shape."""
    secret, out = tmp_path / "secret.txt", tmp_path / "stolen.csv"
    secret.write_text("the secret")
    monkeypatch.setattr(records, "check", lambda _: None)
    _change(_record(lake), lambda record: record["shards"][0].update(table=_steal(secret, out)))
    with pytest.raises(LayerhouseError, match=r"Table with name .* does not exist"):
        connect(lake)
    assert not out.exists()


def test_a_connection_that_builds_reaches_the_lake_alone(lake: Lake, tmp_path: Path) -> None:
    """Should text ever reach SQL."""
    secret, out = tmp_path / "secret.txt", tmp_path / "stolen.csv"
    secret.write_text("the secret")
    with builder(lake, lake.root / "under.duckdb") as con:
        for statement in (
            f"SELECT * FROM read_text('{secret}')",
            f"COPY (SELECT 1) TO '{out}'",
            f"ATTACH '{out}'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|locked"):
                con.execute(statement)
    assert not out.exists()


@pytest.mark.slow
def test_a_published_stamp_deletes_nothing_outside(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "a" / "published"
    publish(lake, out)
    names = ["../../mine", f"{tmp_path}/its", "mart_../../../ours", "mart_a/../../theirs", "x", ""]
    mine = [out.joinpath(f"{name}.{kind}") for name in names for kind in ("csv", "parquet")]
    assert len({path.resolve() for path in mine}) == len(mine)
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")

    def add(stamp: dict[str, Any]) -> None:
        stamp["commit_set"] = "another"
        stamp["marts"] |= {name: {"n_rows": 1, "content": "x"} for name in names}

    _change(out / "build.json", add)
    publish(lake, out)
    assert [path.name for path in mine if path.read_text() != "mine"] == []


def test_a_published_file_with_hostile_views_writes_nothing(lake: Lake, tmp_path: Path) -> None:
    out, traces = tmp_path / "marts.duckdb", tmp_path / "traces"
    with duckdb.connect(str(out)) as con:
        con.execute(
            "CREATE MACRO spy() AS TABLE FROM enable_profiling("
            f"save_location := '{traces}', format := 'json')"
        )
        con.execute(
            "CREATE VIEW build AS SELECT 'x' AS mart, 1 AS commit_set, "
            "2 AS layerhouse_version FROM spy()"
        )
    with pytest.raises(LayerhouseError):
        publish(lake, out)
    assert not traces.exists()


def test_a_catalogue_from_elsewhere_reaches_nothing(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its views are whatever a stranger made them."""
    secret, out = tmp_path / "secret.txt", tmp_path / "traces"
    secret.write_text("the secret")
    with tampered(lake) as con:
        con.execute(f"CREATE VIEW mine AS FROM read_text('{secret}')")
        con.execute('CREATE VIEW "x""; DROP TABLE sample; --" AS SELECT 1')
        con.execute(f"CREATE VIEW spy AS FROM enable_profiling(save_location := '{out}')")
    for query in ("FROM mine", "FROM spy"):
        code, said = _said(capsys, "sql", query, "--lake", str(lake.root))
        assert code == 1, said
        assert "the secret" not in said
    with RunWriter(lake, RunSpec("datasets", None, "more", {})) as writer:
        writer.finish()  # so that the catalogue is refreshed
    with connect(lake) as wh:
        assert wh.sql("SELECT count(*) FROM sample").fetchall() == [(4,)]
    assert not out.exists()


# Links.


def _write_everywhere(lake: Lake) -> None:
    add_extraction(lake, "another")
    add_dataset(lake, n=3)


@pytest.mark.parametrize("what", ["sample", "commits", "activation", "run"])
def test_a_link_is_not_followed_out_of_a_lake(lake: Lake, tmp_path: Path, what: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (lake.root / what).rename(elsewhere)
    (lake.root / what).symlink_to(elsewhere)
    lake.catalogue.unlink()
    before = sorted(elsewhere.rglob("*"))
    with pytest.raises(LayerhouseError, match="leads out of"):
        connect(lake)
    with pytest.raises(LayerhouseError, match="leads out of"):
        _write_everywhere(lake)
    assert sorted(elsewhere.rglob("*")) == before


def test_a_shard_that_is_a_link_is_refused(lake: Lake, tmp_path: Path) -> None:
    path = next((lake.root / "sample").glob("*.parquet"))
    path.rename(tmp_path / "secret.parquet")
    path.symlink_to(tmp_path / "secret.parquet")
    lake.catalogue.unlink()
    with pytest.raises(LayerhouseError, match=f"{path.name} .*leads out of|leads out of"):
        connect(lake)
    assert [each.path for each in status(lake).damaged] == [f"sample/{path.name}"]


@pytest.mark.parametrize("name", ["lock", "../catalog.lock"])
def test_a_lock_that_is_a_link_makes_no_file_elsewhere(
    lake: Lake, tmp_path: Path, name: str
) -> None:
    path = lake.commits_dir / name
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "made")
    lake.catalogue.unlink()
    for attempt in (lambda: add_dataset(lake, n=3), lambda: refresh(lake, force=True)):
        with suppress(LayerhouseError):
            attempt()
    assert not (tmp_path / "made").exists()


def test_a_record_that_is_a_pipe_or_a_device_does_not_hang(lake: Lake) -> None:
    path = _record(lake)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(LayerhouseError, match="it is no file"):
        connect(lake)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(LayerhouseError, match="damaged"):
        connect(lake)
    assert status(lake).problem


# JSON.

BOMBS = {
    "deep": b"[" * 100_000,
    "deep and whole": b"[" * (MOST_DEPTH + 2) + b"]" * (MOST_DEPTH + 2),
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "beyond doubles": b'{"a": 1e999}',
    "too many digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "beyond BIGINT": b'{"a": 9223372036854775808}',
    "twice": b'{"a": 1, "a": 2}',
    "half a character": b'{"a": "\\ud800"}',
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "nothing": b"",
    "two": b"{} {}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_json_without_bounds_is_refused(text: bytes) -> None:
    with pytest.raises(UnfitError):
        parse_json(text)


def test_what_is_within_bounds_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, true, null, "\\u00e9"]}') == {"a": [1, 2.5, True, None, "é"]}


# Every field of every record.


def _outcome(lake: Lake, path: Path, before: dict[str, Any]) -> str:
    """How the lake is taken with that record; what else than these may happen is a fault."""
    try:
        for commit in list_commits(lake):
            _ = commit.facts, commit.removes, commit.order
        find_runs(lake)
        after = rows_of(lake, *SMALL, "activation")
    except LayerhouseError as error:
        said = str(error)
        names = path.stem in said or "newer Layerhouse" in said
        return "refused" if names and said.isprintable() else f"badly said: {said}"
    says_else = path.stem.startswith("remove-") or not json.loads(path.read_text()).get("shards")
    return "served" if after == before or says_else else "served wrong"


def test_of_several_shards_the_one_that_does_not_fit_is_named(lake: Lake) -> None:
    """Of a table with keys, whose shards are read together."""
    *_, path = sorted(lake.commits_dir.glob("extract-*.json"))
    record = json.loads(path.read_text())
    (shard,) = [shard for shard in record["shards"] if shard["table"] == "run"]
    shard["rows"] = 7
    path.write_text(resealed(record))
    with pytest.raises(LayerhouseError, match=rf"shard {shard['path']} .*1 rows instead of 7"):
        refresh(lake, force=True)


def test_every_field_of_every_record_is_refused_or_served_right(
    kept: Lake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake.at(tmp_path_factory.mktemp("fuzzed") / "lake")
    shutil.copytree(kept.root, lake.root)
    before = rows_of(lake, *SMALL, "activation")
    outcomes: Counter[str] = Counter()

    @settings(FUZZED, max_examples=examples(40))
    @given(
        st.sampled_from(fields_of(lake.commits_dir.glob("*.json"))),
        st.sampled_from(HOSTILE)
        | st.text(max_size=20)
        | st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=2)),
        st.sampled_from(["set", "set", "set", "add", "drop"]),
    )
    def fuzz(field: Field, value: Any, how: str) -> None:
        # A record that names fewer shards is a record of less, and nothing says that it is not.
        assume(not (how == "drop" and field[1][0] == "shards" and len(field[1]) == 2))
        with written_otherwise(field, value, how):
            outcome = _outcome(lake, field[0], before)
            outcomes[outcome] += 1
            assert outcome in ("refused", "served"), outcome

    fuzz()
    assert set(outcomes) == {"refused", "served"}, outcomes
    sys.stdout.write(f"records fuzzed: {dict(outcomes)}\n")


def test_a_shape_names_exactly_what_is_written(kept: Lake) -> None:
    """What a writer writes is read, and what it would write tomorrow must be named here first."""
    assert list(kept.commits_dir.glob("compact-*.json"))
    for path in kept.commits_dir.glob("*.json"):
        records.check(json.loads(path.read_text()))
    names = {name for name in Commit.__dataclass_fields__ if name != "hash"}
    record = dict.fromkeys(names) | {"more": 1}
    with pytest.raises(UnfitError):
        records.check(record)
    locus = {"module": "llm", "layer": 0, "kind": "block", "path": "x", "depth": 0, "width": 1}
    for name in Locus.__dataclass_fields__:
        locus.setdefault(name, {"reads": "output", "on_path": True, "calls": 1}.get(name))
    covering.LOCUS(locus, "")
    parts = dict.fromkeys(Anatomy.__dataclass_fields__, "x") | {"image_token_id": 1, "loci": []}
    covering.ANATOMY(parts, "")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_reader_takes_is_not_written(tmp_path: Path, name: str) -> None:
    lake = Lake.at(tmp_path / "lake")
    with pytest.raises(LayerhouseError, match=r"cannot be recorded|surrogates"):
        RunWriter(lake, RunSpec("datasets", None, DATASET, {"title": 1}, device=name)).finish()
    assert list(lake.commits_dir.glob("*.json")) == []


@pytest.mark.parametrize("covers", [{"sample": 1}, {"loci": "all"}, {"start": 0, "more": {}}])
def test_what_a_record_covers_is_named_exactly(lake: Lake, covers: dict[str, Any]) -> None:
    _change(_record(lake, "extract"), lambda record: record.update(covers=covers))
    with pytest.raises(LayerhouseError, match="covers"):
        connect(lake)


RANGE = {"start": 2, "stop": 4, "cells": [], "answers": ["generate"]}
READ = dict.fromkeys(("model_type", "tower", "decoder", "head"), "x") | {"image_token_id": 1}
LOCI = [
    {"module": module, "layer": 0, "kind": "block", "path": "x", "depth": 0, "width": 1}
    for module in ("vision", "connector", "llm")
]
NAMES = {f"{one['module']}.0": ["mean"] for one in LOCI}


@pytest.mark.parametrize(
    "covers",
    [
        RANGE | {"stop": 1},
        RANGE | {"rejected": [2, 3], "reasons": ["dark"]},
        RANGE | {"rejected": [2, 2], "reasons": ["dark", "dark"]},
        RANGE | {"rejected": [4], "reasons": ["dark"]},
        RANGE | {"replies": {"max_new_tokens": 9, "cut": [1]}},
        RANGE | {"swept_replies": {"generate@x": {"max_new_tokens": 9, "cut": [3, 4]}}},
        {"anatomy": READ | {"loci": LOCI}},
        {"anatomy": READ | {"loci": LOCI}, "readouts": {"llm.0": ["mean"]}},
        {"anatomy": READ | {"loci": [*LOCI, LOCI[0]]}, "readouts": NAMES},
        {"anatomy": READ | {"loci": LOCI[:2]}, "readouts": NAMES},
        {"anatomy": READ | {"loci": [*LOCI[:2], LOCI[2] | {"on_path": False}]}, "readouts": NAMES},
    ],
)
def test_what_a_record_covers_fits_together(covers: dict[str, Any]) -> None:
    with pytest.raises(UnfitError, match="covers"):
        covering.check_covers(covers, "covers")


@pytest.mark.parametrize(
    "covers",
    [
        RANGE | {"stop": 2},
        RANGE | {"rejected": [3, 2], "reasons": ["dark", "dark"]},
        RANGE | {"replies": {"max_new_tokens": 9, "cut": [2, 3]}},
        {"anatomy": READ | {"loci": LOCI}, "readouts": NAMES | {"llm.9": ["mean"]}},
        {"start": 7},
    ],
)
def test_what_fits_is_read(covers: dict[str, Any]) -> None:
    covering.check_covers(covers, "covers")


@pytest.mark.parametrize("config", [{"identity": 7}, {"selection": []}, {"identity": ["model"]}])
def test_a_configuration_of_another_shape_is_refused(lake: Lake, config: dict[str, Any]) -> None:
    _change(_record(lake, "extract"), lambda record: record["run"].update(config=config))
    with pytest.raises(LayerhouseError, match=r"run\.config"):
        find_runs(lake)


def _make_newer(lake: Lake) -> Path:
    path = _record(lake, "extract")

    def change(record: dict[str, Any]) -> None:
        record["schema"] = "0999_later"
        record["covers"] = {"tokens": {"of": "tomorrow"}}
        record["shards"][0] |= {"table": "tomorrow", "path": "tomorrow/x.parquet"}

    _change(path, change)
    return path


def test_what_a_newer_version_wrote_is_neither_read_nor_taken_out(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records say what this one does not know, and are sound."""
    path = _make_newer(lake)
    before = {file: file.read_bytes() for file in lake.root.rglob("*.parquet")}
    for arguments in (["--repair"], ["--free"]):
        code, said = _said(capsys, "status", *arguments, "--lake", str(lake.root))
        assert (code, "written by a newer Layerhouse" in said) == (1, True), said
    code, said = _said(capsys, "status", "--lake", str(lake.root))
    assert (code, "Problem:" in said, "Damaged:" in said) == (1, True, False), said
    with pytest.raises(LayerhouseError, match="upgrade Layerhouse"):
        connect(lake)
    with pytest.raises(LayerhouseError, match="upgrade Layerhouse"):
        find_runs(lake)
    assert path.exists()
    assert {file: file.read_bytes() for file in lake.root.rglob("*.parquet")} == before


def test_a_damaged_record_of_a_newer_version_is_damaged(lake: Lake) -> None:
    path = _make_newer(lake)
    path.write_text(path.read_text().replace("tomorrow", "Tomorrow"))
    with pytest.raises(LayerhouseError, match="not as it was written"):
        connect(lake)


@pytest.mark.parametrize(
    "row",
    [
        *(pytest.param(row, marks=pytest.mark.slow) for row in ("[]", '{"selection": 7}')),
        *("7", '{"selection": {"limit": []}}'),
    ],
)
def test_status_never_fails_on_what_a_run_says_of_itself(
    lake: Lake, capsys: pytest.CaptureFixture[str], row: str
) -> None:
    """The rows of a shard are whatever a stranger wrote."""
    path = next(lake.root.glob("run/part-extract-*.parquet"))
    table = pq.read_table(path)
    for name, value in {"config": row, "status": "running"}.items():
        place = table.column_names.index(name)
        column = pa.array([value] * len(table), table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), column)
    pq.write_table(table, path)
    for record in lake.commits_dir.glob("extract-*.json"):

        def change(said: dict[str, Any]) -> None:
            for shard in said["shards"]:
                if shard["path"] == path.relative_to(lake.root).as_posix():
                    shard |= {"bytes": path.stat().st_size, "checksum": checksum(path)}

        _change(record, change)
    lake.catalogue.unlink()
    code, said = _said(capsys, "status", "--lake", str(lake.root))
    assert code in (0, 1)
    assert "Next:" in said
    assert "nexpected failure" not in said
