"""Delta tables over a lake: readers of that format see the catalogue's rows, at every version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import layerhouse
from layerhouse.cli import main
from layerhouse.cli.status import _free as give_back
from tests.conftest import layerhouse as command
from tests.warehouse.delta.tables import assert_shown, by_polars
from tests.warehouse.full_lake import full_lake
from tests.warehouse.old_catalogues import kept, unpack
from tests.warehouse.small_lakes import (
    DATASET,
    activation_rows,
    add_dataset,
    add_extraction,
    answer_row,
    extract_spec,
    small_lake,
)
from warehouse.catalogue import open_tables, refresh
from warehouse.delta import logged, remove
from warehouse.delta.contents import stored_schema
from warehouse.delta.logs import Log, delta_schema
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import compact, free, remove_samples, repair, sweep
from warehouse.lake.compacting import FEWEST
from warehouse.lake.inspection import leftovers, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.schema import tables, tables_since

pytest.importorskip("deltalake", reason="needs deltalake: pip install 'layerhouse[delta]'")

USED = ("activation", "answer", "dataset", "run", "sample")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake whose tables have logs; nobody writes to it."""
    lake = small_lake(tmp_path_factory.mktemp("delta") / "lake")
    layerhouse.delta(lake=lake)
    return lake


@pytest.fixture
def lake(made: Lake, tmp_path: Path) -> Lake:
    """A copy of it, which goes on as the lake itself would."""
    return Lake.at(shutil.copytree(made.root, tmp_path / "lake"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code, said
    return said.err if code else said.out


def test_every_table_shows_the_rows_that_the_catalogue_has(made: Lake) -> None:
    counts = assert_shown(made)
    assert set(counts) == set(tables())
    assert counts["activation"] == 24
    assert counts["answer"] == 4
    log = next(log for log in layerhouse.delta("activation", lake=made))
    assert (log.version, log.n_rows, log.n_files, log.n_rewritten, log.new) == (0, 24, 4, 0, False)


def test_no_vector_is_copied(made: Lake) -> None:
    assert not list((made.root / "activation").rglob("rows-*.parquet"))
    assert not list((made.root / "answer").rglob("rows-*.parquet"))


@pytest.mark.slow
def test_a_lake_with_rows_in_every_table_is_shown(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake")
    layerhouse.delta(lake=lake)
    assert min(assert_shown(lake, set(tables()) - {"removed_run", "removed_sample"}).values()) > 0


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(name, marks=() if name == kept()[0] else pytest.mark.slow)
        for name in [kept()[0], *kept()[8::8]]
    ],
)
def test_what_older_shards_lack_is_filled_in_as_in_the_catalogue(
    version: str, tmp_path: Path
) -> None:
    lake = unpack(version, tmp_path)
    layerhouse.delta(lake=lake)
    assert_shown(lake, USED)
    assert pl.read_delta(str(lake.root / "dataset"))["score"].to_list() == ["accuracy"]


NAMES = ("a b", "50%", "50%25", "x=y/z", "ünï" * 7, "q?#&+:@it's\"\\")


def test_models_of_any_name_are_found(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    for name in NAMES:
        with RunWriter(lake, extract_spec(name)) as writer:
            writer.commit({"activation": activation_rows(["s0"], model_id=name)})
    layerhouse.delta("activation", lake=lake)
    assert {row[0] for row in by_polars(lake, "activation")} == set(NAMES)
    assert_shown(lake, ["activation"])
    assert not any(log.new for log in layerhouse.delta("activation", lake=lake))
    open_tables(lake).close()
    layerhouse.models.remove(NAMES[1], lake=lake)
    open_tables(lake).close()
    assert {row[0] for row in by_polars(lake, "activation")} == {*NAMES} - {NAMES[1]}


def test_each_refresh_is_one_version_and_earlier_ones_stay(lake: Lake) -> None:
    add_extraction(lake, "other")
    assert len(by_polars(lake, "activation")) == 24
    open_tables(lake).close()
    assert_shown(lake, USED)
    assert [len(by_polars(lake, "activation", version)) for version in (0, 1)] == [24, 48]
    assert Log(lake.root / "activation", "activation").version() == 1
    assert Log(lake.root / "sample", "sample").version() == 0, "it got no rows"
    refresh(lake, force=True)
    assert Log(lake.root / "activation", "activation").version() == 1


@pytest.mark.slow
def test_rows_that_were_replaced_are_there_once(lake: Lake) -> None:
    newer = {**answer_row("s1"), "text": "zero"}
    with RunWriter(lake, extract_spec(again=1)) as writer:
        writer.commit({"answer": [newer]}, {"replaces": ["answer"]})
    open_tables(lake).close()
    found = pl.read_delta(str(lake.root / "answer")).sort("sample_id")
    assert found["text"].to_list() == ["one", "zero", "one", "one"]
    assert_shown(lake, USED)
    older = pl.read_delta(str(lake.root / "answer"), version=0).sort("sample_id")
    assert older["text"].to_list() == ["one"] * 4


@pytest.mark.slow
def test_a_lake_that_was_compacted_and_freed_shows_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake, FEWEST)
    for n in range(FEWEST):
        covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
        RunWriter(lake, extract_spec()).commit({"answer": [answer_row(f"s{n}")]}, covers)
    layerhouse.delta(["answer", "run"], lake=lake)
    before = by_polars(lake, "answer")
    assert list(compact(lake))
    give_back(lake, dry_run=False)
    assert "Deleted of what was removed or joined" in capsys.readouterr().out
    assert by_polars(lake, "answer") == before
    assert_shown(lake, ["answer", "run"])
    with pytest.raises(Exception, match="No such file"):
        by_polars(lake, "answer", version=0)  # its files are gone, as is said in the docs
    kept_rows = list((lake.root / "run").rglob("rows-*.parquet"))
    assert len(kept_rows) == 1, "those of older versions went too"


def test_a_removed_sample_is_in_no_table_and_after_freeing_in_no_file(lake: Lake) -> None:
    remove_samples(lake, DATASET, ["s1"], with_dependents=True)
    open_tables(lake).close()
    assert_shown(lake, USED)
    assert not any("s1" in row for row in by_polars(lake, "activation"))
    assert pl.read_delta(str(lake.root / "dataset"))["n_samples"].to_list() == [3]
    give_back(lake, dry_run=False)
    assert_shown(lake, USED)
    for path in lake.root.rglob("*.parquet"):
        found = pl.read_parquet(path, hive_partitioning=False)
        assert "sample_id" not in found.columns or "s1" not in found["sample_id"].to_list(), path


@pytest.mark.slow
def test_rows_of_a_removed_sample_that_shards_still_hold_are_left_out(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.lake.removing_samples.erase", lambda _lake: ())  # killed there
    remove_samples(lake, DATASET, ["s1"], with_dependents=True)
    open_tables(lake).close()
    assert_shown(lake, USED)
    (log,) = layerhouse.delta("activation", lake=lake)
    assert (log.n_rows, log.n_files, log.n_rewritten) == (18, 4, 2)


@pytest.mark.slow
def test_some_tables_may_have_logs_and_none_after_they_were_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = small_lake(tmp_path / "lake")
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(lake.root))
    said = run(capsys, "delta", "--table", "activation", "--table", "run")
    assert said == (
        "activation: version 0, 24 rows in 4 files\n"
        "run: version 0, 2 rows in 1 file, 1 of them written anew\n"
    )
    assert "Nothing to do" in run(capsys, "delta", "--table", "run")
    add_extraction(lake, "other")
    open_tables(lake).close()
    assert logged(lake) == ["activation", "run"]
    assert run(capsys, "delta", "--remove", "--table", "run") == (
        "Deleted the Delta logs of 1 table.\n"
    )
    assert run(capsys, "delta", "--remove") == "Deleted the Delta logs of 1 table.\n"
    assert run(capsys, "delta", "--remove") == "There was none.\n"
    assert not list(lake.root.rglob("_delta_*"))
    add_extraction(lake, "third")
    open_tables(lake).close()
    assert logged(lake) == []
    said = run(capsys, "delta", "--table", "activations", code=2)
    assert "there is no table 'activations'; did you mean activation or" in said
    assert "lies in no shard" in run(capsys, "delta", "--table", "shard", code=2)


def test_what_looks_after_a_lake_leaves_the_logs_alone(lake: Lake) -> None:
    (lake.root / "run" / "_delta_log" / "part-of.checkpoint.parquet").write_bytes(b"x")
    stock = take_stock(lake)
    assert [each.path for each in leftovers(lake, stock)] == []
    assert not repair(lake)
    assert not sweep(lake).set_aside
    assert not free(lake)
    assert list((lake.root / "run").rglob("rows-*.parquet"))


@pytest.mark.slow
def test_a_log_that_others_wrote_to_is_brought_back(lake: Lake) -> None:
    rows = pl.read_delta(str(lake.root / "sample"))
    rows.write_delta(str(lake.root / "sample"), mode="append")
    assert len(pl.read_delta(str(lake.root / "sample"))) == 8
    add_extraction(lake, "other")
    open_tables(lake).close()
    assert_shown(lake, ["sample"])


def test_vacuum_takes_nothing_of_the_lake(lake: Lake) -> None:
    from deltalake import DeltaTable

    for path in (lake.root / "run").rglob("*.parquet"):
        os.utime(path, (0, 0))
    table = DeltaTable(str(lake.root / "run"))
    assert table.vacuum(full=True, dry_run=True) == []
    taken = table.vacuum(
        retention_hours=200, full=True, dry_run=True, enforce_retention_duration=False
    )
    assert len(taken) == 4, "the docs warn of a time of one's own"


def test_a_column_that_a_migration_brings_comes_to_an_older_log(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(lake.root / "dataset" / "_delta_log")
    with monkeypatch.context() as older:
        fewer = pa.schema([f for f in stored_schema("dataset") if f.name != "score"])
        older.setattr("warehouse.delta.logs.stored_schema", lambda _table: fewer)
        older.setattr("warehouse.delta.contents.newest_migration", lambda: "0026_folds")
        layerhouse.delta("dataset", lake=lake)
    assert "score" not in pl.read_delta(str(lake.root / "dataset")).columns
    layerhouse.delta("dataset", lake=lake)
    assert_shown(lake, ["dataset"])
    assert Log(lake.root / "dataset", "dataset").version() == 2


def _of_an_earlier_version(lake: Lake, chosen: list[str], patch: pytest.MonkeyPatch) -> None:
    """Logs of these tables as they were when the newest table was not there yet."""
    remove(lake, tables())
    with patch.context() as older:
        older.setattr("warehouse.delta.contents.newest_migration", lambda: "0031_fitted_for")
        layerhouse.delta(chosen, lake=lake)


def _refreshed(lake: Lake, model_id: str) -> list[str]:
    """The tables that have a log when the lake has more rows."""
    add_extraction(lake, model_id)
    open_tables(lake).close()
    return logged(lake)


def test_a_table_that_a_migration_brings_gets_a_log_where_all_had_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, new = small_lake(tmp_path / "lake"), tables_since("0031_fitted_for")
    assert new == ["steer_effect"]
    few = ["activation", "run"]
    _of_an_earlier_version(lake, few, monkeypatch)
    assert _refreshed(lake, "other") == few
    _of_an_earlier_version(lake, [name for name in tables() if name not in new], monkeypatch)
    assert _refreshed(lake, "third") == tables()
    assert_shown(lake, new)
    remove(lake, new)
    assert _refreshed(lake, "fourth") == [name for name in tables() if name not in new]


@pytest.mark.parametrize("type_", [pa.float16(), pa.uint64(), pa.time64("us")])
def test_a_type_that_delta_lacks_is_told_by_its_column(
    type_: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = pa.schema([pa.field("odd", type_)])
    monkeypatch.setattr("warehouse.delta.logs.stored_schema", lambda _table: odd)
    with pytest.raises(LayerhouseError, match="the column odd of run is of the type"):
        delta_schema("run")


def test_all_columns_of_a_lake_have_types_in_delta() -> None:
    for table in tables():
        assert delta_schema(table).fields


def test_killed_while_it_writes_readers_see_the_version_before(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_extraction(lake, "other")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Log, "_bring", killed)
        with pytest.raises(KeyboardInterrupt):
            open_tables(lake)
    assert len(by_polars(lake, "activation")) == 24
    assert len(by_polars(lake, "run")) == 2
    layerhouse.delta(lake=lake)
    assert_shown(lake, USED)


@pytest.mark.slow
def test_a_log_without_a_version_is_begun(lake: Lake) -> None:
    """As a full disk leaves one."""
    (lake.root / "run" / "_delta_log" / f"{0:020}.json").unlink()
    open_tables(lake).close()
    (log,) = layerhouse.delta("run", lake=lake)
    assert (log.version, log.n_rows, log.new) == (0, 2, True)
    give_back(lake, dry_run=False)
    assert_shown(lake, ["run"])


def damage(lake: Lake) -> None:
    (lake.root / "run" / "_delta_log" / f"{0:020}.json").write_text("{")


def lock_out(lake: Lake) -> None:
    (lake.root / "run" / "_delta_log").rename(lake.root / "run" / "elsewhere")
    (lake.root / "run" / "_delta_log").symlink_to(lake.root / "run" / "elsewhere")


@pytest.mark.parametrize(
    ("how", "said"),
    [(damage, "--remove"), pytest.param(lock_out, "leads out of", marks=pytest.mark.slow)],
)
def test_a_log_that_cannot_be_followed_is_told_in_one_line_and_fails_nothing(
    lake: Lake,
    how: Callable[[Lake], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    how(lake)
    add_extraction(lake, "other")
    with open_tables(lake) as wh:
        assert wh.sql("SELECT count(*) FROM activation").fetchall() == [(48,)]
    (line,) = caplog.messages
    assert line.startswith(f"The Delta logs of run in {lake} stay behind: ")
    assert said in line
    assert "\n" not in line
    assert_shown(lake, ["activation", "layer"])
    with pytest.raises(LayerhouseError, match=said):
        layerhouse.delta(lake=lake)
    if how is lock_out:
        (lake.root / "run" / "_delta_log").unlink()
    remove(lake, tables())
    layerhouse.delta(lake=lake)
    assert_shown(lake, USED)


@pytest.mark.slow
def test_a_command_tells_of_logs_that_stay_behind_and_does_its_work(lake: Lake) -> None:
    damage(lake)
    add_extraction(lake, "other")
    asked = ("sql", "SELECT count(*) AS n FROM activation", "--format", "csv")
    done = command(*asked, "--lake", str(lake.root), cwd=lake.root)
    assert (done.code, done.out) == (0, "n\n48\n")
    assert done.err.startswith(f"The Delta logs of run in {lake} stay behind: ")
    assert done.err.count("\n") == 1


def test_without_deltalake_the_way_out_is_told(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_extraction(lake, "other")
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(lake.root))
    for name in ("deltalake", "deltalake.exceptions", "deltalake.transaction"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'layerhouse[delta]'" in run(capsys, "delta", code=1)
    with pytest.raises(LayerhouseError, match="pip install"):
        give_back(lake, dry_run=False)
    run(capsys, "delta", "--remove")
    give_back(lake, dry_run=False)


def test_a_place_that_deltalake_cannot_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "50%2B").mkdir()
    said = run(capsys, "delta", "--lake", str(tmp_path / "50%2B"), code=2)
    assert "a % is in the path" in said
    said = run(capsys, "delta", "--lake", "s3://bucket/lake", code=2)
    assert "in a bucket; `layerhouse publish`" in said
    assert "in a bucket" in run(capsys, "delta", "--remove", "--lake", "s3://bucket/lake", code=2)
    said = run(capsys, "delta", "--lake", str(tmp_path / "none"), code=2)
    assert "there is no lake" in said


def test_a_path_by_which_polars_finds_nothing_is_told(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deltalake import DeltaTable

    moved = shutil.copytree(lake.root, tmp_path / "my lakes" / "lake")
    assert "Polars does not find the files, as there is a ' '" in run(
        capsys, "delta", "--lake", str(moved)
    )
    with pytest.raises(Exception, match="No such file"):
        pl.read_delta(str(moved / "activation"))
    assert DeltaTable(str(moved / "activation")).to_pyarrow_table().num_rows == 24


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_lake_that_may_only_be_read_is_refused(lake: Lake) -> None:
    for folder in (lake.root, lake.commits_dir):
        folder.chmod(0o555)
    try:
        with pytest.raises(LayerhouseError, match="may only be read by you"):
            layerhouse.delta(lake=lake)
    finally:
        for folder in (lake.root, lake.commits_dir):
            folder.chmod(0o755)


@pytest.mark.slow
def test_two_at_once_write_each_version_once(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    asked = [sys.executable, "-m", "layerhouse", "delta", "--lake", str(lake.root)]
    both = [subprocess.Popen(asked, stdout=subprocess.PIPE) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    assert_shown(lake)
    assert {Log(lake.root / name, name).version() for name in USED} == {0}


@pytest.mark.slow
def test_an_empty_lake_has_empty_tables(tmp_path: Path) -> None:
    empty = Lake.at(tmp_path / "lake").create()
    logs = layerhouse.delta(lake=empty)
    assert {log.n_rows for log in logs} == {0}
    assert by_polars(empty, "activation") == []
    add_dataset(empty)
    open_tables(empty).close()
    assert len(by_polars(empty, "sample")) == 4


def test_each_version_says_its_rows(made: Lake) -> None:
    log = made.root / "activation" / "_delta_log" / f"{0:020}.json"
    adds = [json.loads(line)["add"] for line in log.read_text().splitlines() if '"add"' in line[:6]]
    assert sum(json.loads(add["stats"])["numRecords"] for add in adds) == 24
    assert {add["partitionValues"]["dataset"] for add in adds} == {DATASET}


def test_no_such_table_is_wrong_usage(made: Lake) -> None:
    with pytest.raises(UsageError, match="there is no table"):
        layerhouse.delta(["activation", "nothing"], lake=made)
