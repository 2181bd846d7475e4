"""What `publish` writes, when it writes nothing, and who can read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake
from warehouse.publishing import publish
from warehouse.runs import RunSpec, RunWriter

MARTS = [
    "mart_failure_modes",
    "mart_leaderboard",
    "mart_model_health",
    "mart_sample_outcomes",
    "mart_signal_flow",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = tmp_path_factory.mktemp("publishing") / "lake"
    return synthetic_lake(path, {"alpha": Signals(), "beta": Signals.losing(llm=0.2)}, n_samples=80)


@pytest.fixture
def lake(whole: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(whole.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _grow(lake: Lake) -> None:
    """One more commit."""
    spec = RunSpec("datasets", None, "more", {})
    row = {"dataset_id": "more", "title": "More", "n_samples": 0, "n_classes": 0, "licence": None}
    with RunWriter(lake, spec) as writer:
        writer.commit({"dataset": [row]})
        writer.finish()


def test_a_file_holds_every_mart_with_its_rows_and_types(whole: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    assert publish(whole, out) == [out]
    with duckdb.connect(str(out), read_only=True) as con, connect(whole) as wh:
        assert [name for (name,) in con.sql("SHOW TABLES").fetchall()] == ["build", *MARTS]
        for mart in MARTS:
            query = f"SELECT * FROM {mart} ORDER BY ALL"
            assert con.sql(query).fetchall() == wh.sql(query).fetchall()
            assert con.sql(query).types == wh.sql(query).types


def test_every_column_is_described(whole: Lake, tmp_path: Path) -> None:
    publish(whole, tmp_path / "marts.duckdb")
    with duckdb.connect(str(tmp_path / "marts.duckdb"), read_only=True) as con:
        columns = con.sql(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
        tables = con.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall()
    assert [row for row in [*columns, *tables] if row[-1] is None] == []


def test_the_build_table_stamps_the_file(whole: Lake, tmp_path: Path) -> None:
    publish(whole, tmp_path / "marts.duckdb")
    with duckdb.connect(str(tmp_path / "marts.duckdb"), read_only=True) as con:
        rows = con.sql("SELECT mart, n_rows FROM build ORDER BY mart").fetchall()
        (stamp,) = con.sql("SELECT DISTINCT commit_set, layerhouse_version FROM build").fetchall()
        assert rows == [(m, len(con.sql(f"FROM {m}").fetchall())) for m in MARTS]
    assert len(stamp[0]) == 32
    assert stamp[1]


def test_a_folder_holds_all_three_forms(whole: Lake, tmp_path: Path) -> None:
    out = tmp_path / "published"
    written = publish(whole, out)
    names = ["marts.duckdb", *(f"{m}.{kind}" for m in MARTS for kind in ("parquet", "csv"))]
    assert [path.name for path in written] == [*names, "build.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "build.json"])
    stamp = json.loads((out / "build.json").read_text())
    frame = pl.read_parquet(out / "mart_leaderboard.parquet")
    assert stamp["marts"]["mart_leaderboard"] == len(frame) == 2
    assert frame.schema["built_on"] == pl.Date
    read = pl.read_csv(out / "mart_leaderboard.csv", try_parse_dates=True)
    assert read["built_on"].to_list() == frame["built_on"].to_list()
    assert read["answer_accuracy"].to_list() == pytest.approx(frame["answer_accuracy"].to_list())
    assert pq.read_schema(out / "mart_signal_flow.parquet").names == frame_names(whole)


def frame_names(lake: Lake) -> list[str]:
    with connect(lake) as wh:
        return wh.sql("FROM mart_signal_flow").columns


@pytest.mark.parametrize("name", ["marts.duckdb", "published"])
def test_an_unchanged_lake_is_not_written_again(lake: Lake, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    assert publish(lake, out)
    before = {path: path.stat().st_mtime_ns for path in [out, *out.glob("*")]}
    assert publish(lake, out) == []
    assert {path: path.stat().st_mtime_ns for path in [out, *out.glob("*")]} == before
    _grow(lake)
    assert publish(lake, out)
    assert publish(lake, out) == []


def test_a_file_missing_from_the_folder_is_written_again(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "published"
    publish(lake, out)
    (out / "mart_leaderboard.csv").unlink()
    assert publish(lake, out)
    assert (out / "mart_leaderboard.csv").exists()


def test_no_temporary_files_stay(lake: Lake, tmp_path: Path) -> None:
    publish(lake, tmp_path / "marts.duckdb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "marts.duckdb"]


def test_other_files_are_not_overwritten(whole: Lake, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.duckdb"
    with duckdb.connect(str(thesis)) as con:
        con.execute("CREATE TABLE chapter AS SELECT 1 AS n")
    with pytest.raises(UsageError, match="not published by Layerhouse"):
        publish(whole, thesis)
    text = tmp_path / "notes.duckdb"
    text.write_text("not a database")
    with pytest.raises(UsageError, match="not published by Layerhouse"):
        publish(whole, text)
    assert text.read_text() == "not a database"


def test_a_target_of_the_other_kind_is_refused(whole: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.duckdb").mkdir()
    with pytest.raises(UsageError, match="is a file"):
        publish(whole, tmp_path / "file")
    with pytest.raises(UsageError, match="is a folder"):
        publish(whole, tmp_path / "folder.duckdb")


@pytest.mark.parametrize("name", ["marts.duckdb", "published"])
def test_a_place_that_cannot_be_written_is_one_sentence(
    whole: Lake, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LayerhouseError, match="cannot publish to") as caught:
        publish(whole, tmp_path / "file" / name)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


HOLD = """
import duckdb, sys
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
print("open", flush=True)
sys.stdin.readline()
print(len(con.sql("FROM mart_leaderboard").fetchall()), flush=True)
"""


def _holder(path: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_file_open_for_writing_elsewhere_is_refused(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    publish(lake, out)
    _grow(lake)
    with _holder(out, "rw") as holder:
        with pytest.raises(LayerhouseError, match="open for writing in another program"):
            publish(lake, out)
        holder.communicate("\n")


def test_readers_keep_their_file_while_a_new_one_appears(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    publish(lake, out)
    _grow(lake)
    with _holder(out, "ro") as holder:
        assert publish(lake, out) == [out]
        said, _ = holder.communicate("\n")
    assert said == "2\n"


def test_readers_never_see_a_half_written_file(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "published"
    publish(lake, out)
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            n_rows = pq.read_metadata(out / "mart_leaderboard.parquet").num_rows
            lines = (out / "mart_leaderboard.csv").read_text().count("\n")
            if (n_rows, lines) != (2, 3):
                wrong.append((n_rows, lines))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        (out / "build.json").unlink()
        publish(lake, out)
    stop.set()
    reader.join()
    assert wrong == []


def test_an_open_warehouse_does_not_stand_in_the_way(whole: Lake, tmp_path: Path) -> None:
    with connect(whole) as wh:
        assert publish(whole, tmp_path / "marts.duckdb")
        assert len(wh.sql("FROM mart_leaderboard").fetchall()) == 2


def test_an_empty_lake_publishes_empty_marts(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    publish(Lake.at(tmp_path / "lake"), tmp_path / "marts.duckdb")
    with duckdb.connect(str(tmp_path / "marts.duckdb"), read_only=True) as con:
        assert con.sql("SELECT sum(n_rows) FROM build").fetchall() == [(0,)]


CLIENT = """
import datetime as dt, json, sys
import pandas as pd, sqlalchemy as sa
engine = sa.create_engine(f"duckdb:///{sys.argv[1]}", connect_args={"read_only": True})
columns = sa.inspect(engine).get_columns("mart_leaderboard")
frame = pd.read_sql("SELECT * FROM mart_leaderboard ORDER BY leaderboard_rank", engine)
engine.dispose()
json.dump({
    "unknown": [c["name"] for c in columns if isinstance(c["type"], sa.types.NullType)],
    "bare": [c["name"] for c in columns if not c["comment"]],
    "dates": [c["name"] for c in columns if isinstance(c["type"], sa.Date)],
    "models": frame["model_id"].tolist(),
    "is_date": isinstance(frame["built_on"].iloc[0], dt.date),
}, sys.stdout)
"""


def test_pandas_and_sqlalchemy_read_the_file(whole: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    publish(whole, out)
    # In a process of its own, as a BI tool is.
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(out)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        "unknown": [],
        "bare": [],
        "dates": ["built_on"],
        "models": ["alpha", "beta"],
        "is_date": True,
    }


def test_an_adbc_client_reads_the_file(whole: Lake, tmp_path: Path) -> None:
    dbapi = pytest.importorskip("adbc_driver_manager.dbapi", reason="adbc-driver-manager is absent")
    publish(whole, tmp_path / "marts.duckdb")
    library = sys.modules["_duckdb"].__file__
    with (
        dbapi.connect(
            driver=library,
            entrypoint="duckdb_adbc_init",
            db_kwargs={"path": str(tmp_path / "marts.duckdb"), "access_mode": "READ_ONLY"},
        ) as con,
        con.cursor() as cursor,
    ):
        cursor.execute("SELECT model_id, answer_accuracy FROM mart_leaderboard ORDER BY 1")
        assert cursor.fetch_arrow_table().column("model_id").to_pylist() == ["alpha", "beta"]
