"""Readers, writers and publishers of one lake at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import UNSAID
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.publishing.publishing import publish

READER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import duckdb
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake
lake, marts, stop = Lake.at(sys.argv[2]), sys.argv[3], Path(sys.argv[4])

def ask(query):
    if sys.argv[5] == "duckdb":
        with duckdb.connect(marts, read_only=True) as con:
            return con.execute(query).fetchall()
    import sqlalchemy
    engine = sqlalchemy.create_engine(f"duckdb:///{marts}", connect_args={"read_only": True})
    try:
        with engine.connect() as con:
            return [tuple(row) for row in con.execute(sqlalchemy.text(query))]
    finally:
        engine.dispose()

n = 0
while not stop.exists():
    with connect(lake) as wh:
        ((datasets, commits),) = wh.sql(
            "SELECT (SELECT count(*) FROM dataset WHERE dataset_id LIKE 'more-%'),"
            " (SELECT count(*) FROM commit_record WHERE dataset_id LIKE 'more-%')"
        ).fetchall()
        # Rows and the commits that brought them appear together: one row, two commits a run.
        assert 2 * datasets - 1 <= commits <= 2 * datasets, (datasets, commits)
        # So do vectors, which stay in their shards: four a commit, readable at once.
        assert wh.sql("SELECT count(vector[1]) FROM activation").fetchall() == [(4 * datasets,)]
        assert len(wh.sql("FROM mart_leaderboard").fetchall()) == 2
    stated, found = ask(
        "SELECT n_rows FROM build WHERE mart = 'mart_leaderboard'"
        " UNION ALL SELECT count(*) FROM mart_leaderboard"
    )
    assert stated == found
    n += 1
print(n)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    models = {"alpha": Signals(), "beta": Signals.losing(vision=0.2)}
    return synthetic_lake(tmp_path / "lake", models, n_samples=40)


def _grow(lake: Lake, name: str) -> None:
    row = {"dataset_id": name, "title": name, "n_samples": 0, "n_classes": 0, **UNSAID}
    vectors = [
        {
            "model_id": "alpha",
            "dataset_id": name,
            "module": "llm",
            "layer": 0,
            "readout": "mean",
            "sample_id": f"image-{number}",
            "vector": [1.0, 2.0],
        }
        for number in range(4)
    ]
    with RunWriter(lake, RunSpec("datasets", None, name, {})) as writer:
        writer.commit({"dataset": [row], "activation": vectors})
        writer.finish()


def test_a_new_connection_sees_new_commits_and_an_open_one_does_not(lake: Lake) -> None:
    query = "SELECT dataset_id FROM dataset ORDER BY 1"
    with connect(lake) as before:
        _grow(lake, "more")
        with connect(lake) as after:
            assert after.sql(query).fetchall() == [("more",), ("shapes",)]
        assert before.sql(query).fetchall() == [("shapes",)]


@pytest.mark.slow
@pytest.mark.parametrize(("n_readers", "n_commits"), [(2, 2), (10, 8)])
def test_readers_see_whole_states_while_others_write_and_publish(
    lake: Lake, tmp_path: Path, n_readers: int, n_commits: int
) -> None:
    marts, stop = tmp_path / "marts.duckdb", tmp_path / "stop"
    publish(lake, marts)
    root = Path(__file__).parents[3]
    places = [str(root), str(lake.root), str(marts), str(stop)]
    readers = [
        subprocess.Popen(
            # The first one is a BI client, which speaks SQLAlchemy.
            [sys.executable, "-c", READER, *places, "duckdb" if number else "sqlalchemy"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(n_readers)
    ]
    for number in range(n_commits):
        _grow(lake, f"more-{number}")
        publish(lake, marts)
    stop.touch()
    ended = [reader.communicate(timeout=120) for reader in readers]
    assert [said for _, said in ended if said] == []
    assert sum(int(said) for said, _ in ended) >= n_readers
