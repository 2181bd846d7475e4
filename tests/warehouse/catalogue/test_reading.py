"""What a reader may ask of a lake, and what not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.warehouse.small_lakes import MODEL, contents, files, small_lake
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect
from warehouse.catalogue.samples import dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return small_lake(tmp_path_factory.mktemp("connection") / "lake")


@pytest.fixture
def wh(lake: Lake) -> Iterator[Warehouse]:
    with connect(lake) as wh:
        yield wh


READING = [
    "SELECT 1",
    "FROM sample",
    "VALUES (1)",
    "TABLE sample;",
    "WITH a AS (SELECT 1 AS i) SELECT i FROM a",
    "DESCRIBE sample",
    "SHOW TABLES",
    "SUMMARIZE sample",
    "EXPLAIN SELECT 1",
    "/* a /* nested */ remark */ EXPLAIN -- and\n ANALYZE (FORMAT json) FROM sample",
    "EXPLAIN (SELECT 1) UNION ALL (SELECT 2)",
    "PIVOT sample ON split IN ('train', 'test') USING count(*)",
    "SELECT vector FROM activation LIMIT 1",
]


@pytest.mark.parametrize("query", READING)
def test_reading_is_answered(wh: Warehouse, query: str) -> None:
    assert wh.sql(query).fetchall()


REFUSED = {
    "DELETE FROM sample": "DELETE is refused: the lake is read-only here",
    "insert into sample select * from sample": "INSERT is refused",
    "-- harmless\nUPDATE sample SET split = 'test'": "UPDATE is refused",
    "CREATE TABLE t (i INTEGER)": "CREATE is refused",
    "CREATE TEMP VIEW v AS SELECT 1": "CREATE is refused",
    "DROP TABLE sample": "DROP is refused",
    "COPY sample TO '{lake}/activation/x.csv'": "COPY is refused",
    "EXPORT DATABASE '{lake}/activation'": "EXPORT is refused",
    "IMPORT DATABASE '{lake}'": "IMPORT is refused",
    "ATTACH ':memory:' AS other": "ATTACH is refused",
    "DETACH catalog": "DETACH is refused",
    "USE memory": "USE is refused",
    "INSTALL httpfs": "INSTALL is refused",
    "LOAD icu": "LOAD is refused",
    "SET threads = 1": "SET is refused",
    "SET VARIABLE activation_shards = []": "SET is refused",
    "RESET threads": "RESET is refused",
    "PRAGMA show_tables": "PRAGMA is refused",
    "CALL pragma_version()": "CALL is refused",
    "BEGIN": "BEGIN is refused",
    "PREPARE p AS SELECT 1": "PREPARE is refused",
    "VACUUM": "VACUUM is refused",
    "CHECKPOINT": "CHECKPOINT is refused",
    "EXPLAIN ANALYZE COPY sample TO '{lake}/activation/x.csv'": "EXPLAIN is answered for SELECT",
    "EXPLAIN (ANALYZE) COPY sample TO '{lake}/activation/x.csv'": "EXPLAIN is answered for SELECT",
    "EXPLAIN /* /* */ SELECT 1; -- */ ANALYZE COPY sample TO '{lake}/activation/x.csv'": (
        "EXPLAIN is answered for SELECT"
    ),
    "WITH d AS (DELETE FROM sample RETURNING *) SELECT * FROM d": "read-only mode",
    "SELECT 1; SELECT 2": "only one statement at a time",
    "": "the query is empty",
    "-- nothing": "the query is empty",
    "PIVOT sample ON split USING count(*)": "PIVOT needs its values listed",
}


@pytest.mark.parametrize(("query", "message"), REFUSED.items())
def test_anything_else_is_refused_and_changes_nothing(
    wh: Warehouse, lake: Lake, query: str, message: str
) -> None:
    before = files(lake)
    with pytest.raises(LayerhouseError, match=message):
        wh.sql(query.format(lake=lake.root)).fetchall()
    assert files(lake) == before


OUTSIDE = [
    "FROM read_text('/etc/hostname')",
    "FROM read_csv('/etc/passwd')",
    "FROM '{lake}/commits/*.json'",
    "FROM read_text('{lake}/activation/../catalog.lock')",
    "FROM glob('/*')",
    "FROM read_parquet('https://example.org/x.parquet')",
]


@pytest.mark.parametrize("query", OUTSIDE)
def test_nothing_but_the_vectors_is_read_from_the_disk(
    wh: Warehouse, lake: Lake, query: str
) -> None:
    with pytest.raises(LayerhouseError, match=r"Permission Error|disabled|does not exist"):
        wh.sql(query.format(lake=lake.root))


@pytest.mark.parametrize("query", ["SELECT nonsense FROM sample", "SELEC 1", "FROM sampel"])
def test_wrong_sql_is_an_error_that_points_at_the_place(wh: Warehouse, query: str) -> None:
    with pytest.raises(LayerhouseError, match=r"LINE 1: .*\n +\^"):
        wh.sql(query)


def test_parameters_fill_in_values(wh: Warehouse) -> None:
    query = "SELECT sample_id FROM sample WHERE split = $1 ORDER BY 1"
    assert wh.sql(query, ["train"]).fetchall() == [("s0",), ("s3",)]


def test_vectors_come_with_their_samples_in_the_same_order(wh: Warehouse) -> None:
    X, samples = wh.activations(
        model=MODEL, dataset="digits", module="vision", layer=1, readout="grid"
    )
    assert (X.dtype, X.shape) == (np.float32, (4, 2))
    assert X.tolist() == [[1, 0], [1, 1], [1, 2], [1, 3]]
    assert samples.rows() == [
        ("s0", 0, "train", "g0", "zero"),
        ("s1", 1, "val", "g1", "one"),
        ("s2", 0, "test", "g2", "zero"),
        ("s3", 1, "train", "g3", "one"),
    ]
    assert samples.columns == ["sample_id", "class_index", "split", "group_id", "label"]


def test_vectors_that_are_not_there_say_what_was_asked(wh: Warehouse) -> None:
    with pytest.raises(
        UsageError, match=r"no activations of tiny.* on digits .* did you mean tiny"
    ):
        wh.activations("tiny+fault:swap", "digits", "vision", 0, "mean")
    with pytest.raises(
        UsageError, match="vision layer 7, readout mean; `layerhouse extract --model "
    ):
        wh.activations(MODEL, "digits", "vision", 7, "mean")


def test_a_reader_changes_nothing_in_the_lake(lake: Lake) -> None:
    contents(lake)
    before = {path: (lake.root / path).read_bytes() for path in files(lake)}
    with connect(lake) as wh:
        wh.sql("SELECT count(*) FROM activation").fetchall()
    assert {path: (lake.root / path).read_bytes() for path in files(lake)} == before


def test_a_read_only_folder_can_be_read(lake: Lake, tmp_path: Path) -> None:
    contents(lake)
    copy = tmp_path / "lake"
    shutil.copytree(lake.root, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with connect(copy) as wh:
        assert wh.sql("SELECT count(*) FROM activation").fetchall() == [(24,)]
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)


def test_a_query_starts_without_the_heavy_packages(lake: Lake) -> None:
    contents(lake)
    code = (
        "import sys; from warehouse.catalogue.refreshing import connect\n"
        f"with connect({str(lake.root)!r}) as wh: assert wh.sql('SELECT 1').fetchall() == [(1,)]\n"
        "heavy = {'numpy', 'polars', 'pyarrow', 'pandas', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dataset_is_its_classes_and_samples(wh: Warehouse) -> None:
    info = dataset(wh, "digits")
    assert (info.dataset_id, info.title) == ("digits", "Digits")
    assert [(c.index, c.label, c.phrase) for c in info.classes] == [
        (0, "zero", "a zero"),
        (1, "one", "a one"),
    ]
    assert info.samples["sample_id"].to_list() == ["s0", "s1", "s2", "s3"]
    assert info.samples.columns == [
        "sample_id",
        "uri",
        "sha256",
        "class_index",
        "split",
        "group_id",
        "width",
        "height",
        "given_split",
    ]


def test_an_unknown_dataset_is_answered_with_the_nearest(wh: Warehouse) -> None:
    with pytest.raises(UsageError, match="no dataset 'digit'; did you mean digits"):
        dataset(wh, "digit")
