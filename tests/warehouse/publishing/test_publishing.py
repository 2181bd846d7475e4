"""What `publish` writes, when it writes nothing, and who can read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import UNSAID
from warehouse.catalogue.definitions import Definitions
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.publishing.patients import WITHHELD
from warehouse.publishing.publishing import publish

MARTS = sorted(Definitions().marts)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = tmp_path_factory.mktemp("publishing") / "lake"
    return synthetic_lake(path, {"alpha": Signals(), "beta": Signals.losing(llm=0.2)}, n_samples=80)


@pytest.fixture
def lake(whole: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(whole.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


@pytest.fixture(scope="module")
def kept(whole: Lake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder that the whole lake was published to, and what was written there."""
    out = tmp_path_factory.mktemp("kept") / "published"
    return out, publish(whole, out)


@pytest.fixture
def out(kept: tuple[Path, list[Path]], tmp_path: Path) -> Path:
    """A copy of its own."""
    return Path(shutil.copytree(kept[0], tmp_path / "published"))


def _published(out: Path, name: str) -> Path:
    """The published folder, or its database alone as if that had been published."""
    if name == out.name:
        return out
    return Path(shutil.copy(out / "marts.duckdb", out.with_name(name)))


def _grow(lake: Lake) -> None:
    """One more commit."""
    spec = RunSpec("datasets", None, "more", {})
    row = {"dataset_id": "more", "title": "More", "n_samples": 0, "n_classes": 0, **UNSAID}
    with RunWriter(lake, spec) as writer:
        writer.commit({"dataset": [row]})
        writer.finish()


def test_a_file_holds_every_mart_with_its_rows_and_types(whole: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    assert publish(whole, out, patients=True) == [out]
    with duckdb.connect(str(out), read_only=True) as con, connect(whole) as wh:
        assert [name for (name,) in con.sql("SHOW TABLES").fetchall()] == ["build", *MARTS]
        for mart in MARTS:
            query = f"SELECT * FROM {mart} ORDER BY ALL"
            assert con.sql(query).fetchall() == wh.sql(query).fetchall()
            assert con.sql(query).types == wh.sql(query).types


def test_who_a_patient_is_stays_at_home_unless_asked_for(whole: Lake, out: Path) -> None:
    mart = "mart_sample_outcomes"
    query = f"SELECT count(*), count(group_id), count(uri), count(label) FROM {mart}"
    for source in (f"'{out}/{mart}.parquet'", f"'{out}/{mart}.csv'"):
        ((n, groups, uris, labels),) = duckdb.sql(query.replace(mart, source)).fetchall()
        assert (groups, uris, labels) == (0, 0, n)
        assert n > 0
    withheld = pl.read_parquet(out / f"{mart}.parquet")
    written = {path.name for path in publish(whole, out, patients=True)}
    assert written == {"marts.duckdb", f"{mart}.parquet", f"{mart}.csv", "build.json"}
    told = pl.read_parquet(out / f"{mart}.parquet")
    assert told["group_id"].null_count() == 0
    assert told.schema == withheld.schema
    assert publish(whole, out, patients=True) == []
    assert len(publish(whole, out)) == 4


@pytest.mark.parametrize(
    ("sample_id", "uri", "is_kept"),
    [
        ("images/doe_john.png", "/data/images/doe_john.png", False),
        ("p1/film.tif#frame-03", "/data/p1/film.tif#frame=3", False),
        ("train/00003", "/data/set.npz#train_images/3", True),
        ("digits/0003", "sklearn-digits:3", True),
    ],
)
def test_a_sample_id_that_is_a_path_is_another_one(sample_id: str, uri: str, is_kept: bool) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE m AS SELECT 'd' AS dataset_id, $1 AS sample_id, $2 AS uri",
                    [sample_id, uri])  # fmt: skip
        query = f"SELECT {WITHHELD['sample_id']} FROM m"
        first, again = con.execute(query).fetchall(), con.execute(query).fetchall()
    assert first == again
    assert (first[0][0] == sample_id) is is_kept
    assert is_kept or re.fullmatch("sample-[0-9a-f]{12}", first[0][0])


def test_every_column_is_described(out: Path) -> None:
    with duckdb.connect(str(out / "marts.duckdb"), read_only=True) as con:
        columns = con.sql(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
        tables = con.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall()
    assert [row for row in [*columns, *tables] if row[-1] is None] == []


def test_the_build_table_stamps_the_file(out: Path) -> None:
    with duckdb.connect(str(out / "marts.duckdb"), read_only=True) as con:
        rows = con.sql("SELECT mart, n_rows FROM build ORDER BY mart").fetchall()
        (stamp,) = con.sql("SELECT DISTINCT commit_set, layerhouse_version FROM build").fetchall()
        assert rows == [(m, len(con.sql(f"FROM {m}").fetchall())) for m in MARTS]
    assert len(stamp[0]) == 32
    assert stamp[1]


def test_a_folder_holds_all_three_forms(whole: Lake, kept: tuple[Path, list[Path]]) -> None:
    out, written = kept
    names = ["marts.duckdb", *(f"{m}.{kind}" for m in MARTS for kind in ("parquet", "csv"))]
    assert [path.name for path in written] == [*names, "build.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "build.json"])
    stamp = json.loads((out / "build.json").read_text())
    frame = pl.read_parquet(out / "mart_leaderboard.parquet")
    assert stamp["marts"]["mart_leaderboard"]["n_rows"] == len(frame) == 2
    assert frame.schema["built_on"] == pl.Date
    read = pl.read_csv(out / "mart_leaderboard.csv", try_parse_dates=True)
    assert read["built_on"].to_list() == frame["built_on"].to_list()
    assert read["answer_accuracy"].to_list() == pytest.approx(frame["answer_accuracy"].to_list())
    assert pq.read_schema(out / "mart_signal_flow.parquet").names == frame_names(whole)


def frame_names(lake: Lake) -> list[str]:
    with connect(lake) as wh:
        return wh.sql("FROM mart_signal_flow").columns


@pytest.mark.parametrize("name", ["marts.duckdb", "published"])
def test_an_unchanged_lake_is_not_written_again(lake: Lake, out: Path, name: str) -> None:
    out = _published(out, name)
    before = {path: path.stat().st_mtime_ns for path in [out, *out.glob("*")]}
    assert publish(lake, out) == []
    assert {path: path.stat().st_mtime_ns for path in [out, *out.glob("*")]} == before
    _grow(lake)
    assert publish(lake, out)
    assert publish(lake, out) == []


def test_a_file_missing_from_the_folder_is_written_again(lake: Lake, out: Path) -> None:
    for name in ("mart_leaderboard.csv", "marts.duckdb"):
        (out / name).unlink()
        assert publish(lake, out) == [out / name, out / "build.json"]
        assert (out / name).exists()


def test_only_marts_that_changed_are_written_again(lake: Lake, out: Path) -> None:
    before = {mart: pl.read_parquet(out / f"{mart}.parquet") for mart in MARTS}
    with connect(lake) as wh:
        (model, dataset, score), *_ = wh.sql(
            "SELECT model_id, dataset_id, health_score FROM mart_model_health "
            "WHERE module = 'llm' AND track = 'last' ORDER BY ALL"
        ).fetchall()
    interval = {
        "model_id": model,
        "dataset_id": dataset,
        "module": "llm",
        "track": "last",
        "point": score,
        "lower": 0.4,
        "upper": 0.6,
        "n_resamples": 100,
        "n_groups": 20,
    }
    with RunWriter(lake, RunSpec("diagnose", model, dataset, {})) as writer:
        writer.commit({"health_interval": [interval]})
        writer.finish()
    written = {path.stem for path in publish(lake, out) if path.suffix == ".parquet"}
    after = {mart: pl.read_parquet(out / f"{mart}.parquet") for mart in MARTS}
    assert "mart_model_health" in written
    # Every mart names the day of the newest commit: it changes where midnight falls in between.
    assert written == {mart for mart in MARTS if not after[mart].equals(before[mart])}


@pytest.mark.slow
def test_equal_marts_are_equal_files(whole: Lake, out: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "copy")
    (tmp_path / "copy" / "catalog.duckdb").unlink()
    again = tmp_path / "again"
    publish(Lake.at(tmp_path / "copy"), again)
    for kind in ("csv", "parquet"):
        for path in out.glob(f"*.{kind}"):
            assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    one, two = (json.loads((folder / "build.json").read_text()) for folder in (out, again))
    assert one["marts"] == two["marts"]


def test_a_mart_that_is_defined_no_longer_leaves_the_folder(lake: Lake, out: Path) -> None:
    stamp = json.loads((out / "build.json").read_text())
    stamp["marts"]["mart_former"] = {"n_rows": 1, "content": "x"}
    stamp["commit_set"] = "an older one"
    (out / "build.json").write_text(json.dumps(stamp))
    (out / "mart_former.csv").write_text("n")
    (out / "notes.csv").write_text("mine")
    assert publish(lake, out) == [out / "build.json"]
    assert not (out / "mart_former.csv").exists()
    assert (out / "notes.csv").exists()


def test_a_file_of_an_older_layout_is_written_again(whole: Lake, tmp_path: Path) -> None:
    out = tmp_path / "marts.duckdb"
    with duckdb.connect(str(out)) as con:
        con.execute("CREATE TABLE build (mart TEXT, commit_set TEXT, layerhouse_version TEXT)")
    assert publish(whole, out) == [out]
    assert publish(whole, out) == []


@pytest.mark.slow
def test_a_killed_publication_is_made_good_by_the_next(
    whole: Lake, kept: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    out, (undisturbed, _) = tmp_path / "published", kept
    code = (
        "import sys; from pathlib import Path; from warehouse.lake.lake import Lake\n"
        "from warehouse.publishing.publishing import publish\n"
        "print('ready', flush=True)\n"
        "publish(Lake.at(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(whole.root), str(out)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while process.poll() is None and not list(out.glob("mart*")):
            pass
        process.kill()
    # What a kill between the bytes and the name leaves, and what a person calls so.
    (out / f".mart_leaderboard.csv.{'0' * 32}.tmp").write_text("half")
    (out / "mart_leaderboard.csv.tmp").write_text("mine")
    publish(whole, out)
    names = sorted(path.name for path in undisturbed.iterdir())
    names = sorted([*names, "mart_leaderboard.csv.tmp"])
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".lock") == names
    for path in undisturbed.glob("*.csv"):
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert publish(whole, out) == []


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
    (tmp_path / "published").mkdir()
    thesis.rename(tmp_path / "published" / "marts.duckdb")
    with pytest.raises(UsageError, match="not published by Layerhouse"):
        publish(whole, tmp_path / "published")
    assert [path.name for path in (tmp_path / "published").iterdir()] == ["marts.duckdb"]


def test_a_target_of_the_other_kind_is_refused(whole: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.duckdb").mkdir()
    with pytest.raises(UsageError, match="is a file"):
        publish(whole, tmp_path / "file")
    with pytest.raises(UsageError, match="is a folder"):
        publish(whole, tmp_path / "folder.duckdb")
    with pytest.raises(UsageError, match="of another kind than is written"):
        publish(whole, tmp_path / "marts.sqlite")
    assert not (tmp_path / "marts.sqlite").exists()


@pytest.mark.parametrize("name", ["marts.duckdb", "published"])
def test_a_place_that_cannot_be_written_is_one_sentence(
    whole: Lake, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LayerhouseError, match="cannot publish to") as caught:
        publish(whole, tmp_path / "file" / name)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.slow
def test_a_folder_without_write_permission_is_one_sentence(whole: Lake, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    code = "from layerhouse.cli import main; main()"
    command = [sys.executable, "-c", code, "publish", "--lake", str(whole.root), "--out"]
    if os.geteuid() == 0:  # whom no permission stops while it holds this capability
        if shutil.which("setpriv") is None:
            pytest.skip("root ignores permissions, and setpriv is absent to make it heed them")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    for out in (locked, locked / "marts.duckdb", locked / "published"):
        done = subprocess.run(
            [*command, str(out)], capture_output=True, text=True, cwd=Path(__file__).parents[3]
        )
        assert done.returncode == 1
        assert done.stderr == f"Error: cannot publish to {out}: Permission denied\n"
    assert list(locked.iterdir()) == []


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


@pytest.mark.parametrize(
    "name", ["marts.duckdb", pytest.param("published", marks=pytest.mark.slow)]
)
def test_a_file_open_for_writing_elsewhere_is_refused(lake: Lake, out: Path, name: str) -> None:
    out = _published(out, name)
    file = out if out.is_file() else out / "marts.duckdb"
    _grow(lake)
    refusal = "marts.duckdb is open for writing in another program or connection; close it there"
    with _holder(file, "rw") as holder:
        with pytest.raises(LayerhouseError, match=refusal):
            publish(lake, out)
        holder.communicate("\n")
    with (
        duckdb.connect(str(file)),  # in this very process, as in a notebook
        pytest.raises(LayerhouseError, match=refusal),
    ):
        publish(lake, out)
    assert publish(lake, out)


def test_readers_keep_their_file_while_a_new_one_appears(lake: Lake, out: Path) -> None:
    out = _published(out, "marts.duckdb")
    _grow(lake)
    with _holder(out, "ro") as holder:
        assert publish(lake, out) == [out]
        said, _ = holder.communicate("\n")
    assert said == "2\n"


@pytest.mark.slow
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


@pytest.mark.slow
def test_publishers_of_one_folder_take_turns(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "published"
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: publish(lake, out), range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 2 * len(MARTS) + 2]
    assert publish(lake, out) == []
    assert not list(out.glob("*.tmp*")) + list(out.glob(".*"))


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


def test_pandas_and_sqlalchemy_read_the_file(out: Path) -> None:
    # In a process of its own, as a BI tool is.
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(out / "marts.duckdb")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "unknown": [],
        "bare": [],
        "dates": ["built_on"],
        "models": ["alpha", "beta"],
        "is_date": True,
    }


def test_an_adbc_client_reads_the_file(out: Path) -> None:
    dbapi = pytest.importorskip("adbc_driver_manager.dbapi", reason="adbc-driver-manager is absent")
    library = sys.modules["_duckdb"].__file__
    with (
        dbapi.connect(
            driver=library,
            entrypoint="duckdb_adbc_init",
            db_kwargs={"path": str(out / "marts.duckdb"), "access_mode": "READ_ONLY"},
        ) as con,
        con.cursor() as cursor,
    ):
        cursor.execute("SELECT model_id, answer_accuracy FROM mart_leaderboard ORDER BY 1")
        assert cursor.fetch_arrow_table().column("model_id").to_pylist() == ["alpha", "beta"]
