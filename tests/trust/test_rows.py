"""What a query gives can neither write nor reconfigure, and Ctrl-C and limits stop it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import layerhouse
from layerhouse.cli import main
from tests.warehouse.small_lakes import small_lake
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.catalogue.rows import CHAINING, FETCHING, TELLING
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

KILL = signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)
"""What Ctrl-C at a terminal does."""

ENDLESS = "SELECT count(*) FROM range(10000000000) AS a, range(1000000) AS b WHERE a.range % 7 = 3"
WRITING = (
    *("to_parquet", "write_parquet", "to_csv", "write_csv", "create", "create_view", "to_table"),
    *("to_view", "insert", "insert_into", "update", "query", "drop", "map", "apply", "close"),
)


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """A process that was begun in the background may have been told to ignore the keyboard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("rows") / "lake")
    refresh(lake)
    return lake


@pytest.mark.parametrize("name", WRITING)
def test_rows_have_nothing_that_writes(lake: Lake, name: str) -> None:
    shard = next(lake.root.glob("activation/**/*.parquet"))
    before = shard.read_bytes()
    with connect(lake) as wh:
        rows = wh.sql("SELECT 1 AS x")
        for one in (rows, rows.limit(1), rows.filter("x = 1").project("x")):
            with pytest.raises(AttributeError, match=f"have no {name}: they are only read"):
                getattr(one, name)(str(shard))
    assert shard.read_bytes() == before


def test_nothing_that_duckdb_may_add_is_let_through() -> None:
    known = FETCHING | CHAINING | TELLING
    assert known.isdisjoint(WRITING)
    assert known <= set(dir(duckdb.DuckDBPyRelation))


READ: list[Callable[[Any], Any]] = [
    lambda rows: rows.fetchall(),
    lambda rows: rows.pl().rows(),
    lambda rows: list(rows.df().itertuples(index=False, name=None)),
    lambda rows: [tuple(row.values()) for row in rows.to_arrow_table().to_pylist()],
    lambda rows: list(rows.iter_rows()),
    lambda rows: [tuple(row.values()) for row in pa.table(rows).to_pylist()],
    lambda rows: pl.DataFrame(rows).rows(),
    lambda rows: rows.union(rows).distinct().order("x").fetchall(),
    lambda rows: rows.filter("x >= 0").limit(2).project("x, y").fetchall(),
]


@pytest.mark.parametrize("read", READ)
def test_rows_are_read_in_every_way(lake: Lake, read: Callable[[Any], Any]) -> None:
    with connect(lake) as wh:
        rows = wh.sql("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (x, y) ORDER BY x")
        assert rows.columns == ["x", "y"]
        assert len(rows) == 2
        assert "x" in repr(rows)
        assert [tuple(row) for row in read(rows)] == [(1, "a"), (2, "b")]


def test_more_rows_than_one_batch_come_in_order(lake: Lake) -> None:
    with connect(lake) as wh:
        assert [x for (x,) in wh.sql("FROM range(5000)").iter_rows()] == list(range(5000))


@pytest.mark.parametrize("read", ["fetchall", "pl", "to_arrow_table", "__len__", "__repr__"])
def test_ctrl_c_stops_a_query(lake: Lake, read: str) -> None:
    with connect(lake) as wh:
        rows = wh.sql(ENDLESS)
        threading.Timer(0.2, *KILL).start()
        with pytest.raises(KeyboardInterrupt):
            getattr(rows, read)()
        assert wh.sql("SELECT 1").fetchall() == [(1,)]


def test_the_command_says_so_in_one_line(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    threading.Timer(1.5, *KILL).start()
    with pytest.raises(SystemExit) as ended:
        main(["sql", ENDLESS, "--lake", str(lake.root)])
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip().splitlines() == [
        "Error: stopped by the keyboard; what was committed stays, run it again to go on"
    ]


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


@pytest.mark.parametrize("read", [Warehouse.sql, lambda wh, query: wh.sql(query).iter_rows()])
def test_a_query_may_take_so_long(lake: Lake, read: Callable[..., Any]) -> None:
    with (
        layerhouse.connect(lake.root, timeout=0.1) as wh,
        pytest.raises(LayerhouseError, match=r"was stopped after 0\.1 s"),
    ):
        list(read(wh, ENDLESS) if read is not Warehouse.sql else read(wh, ENDLESS).fetchall())


def test_a_query_may_take_so_much_memory(lake: Lake) -> None:
    with layerhouse.connect(lake.root, memory="20MB") as wh:
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(4,)]
        with pytest.raises(duckdb.OutOfMemoryException):
            wh.sql("SELECT list(range) FROM range(50000000)").fetchall()
    with pytest.raises(UsageError, match="much is no amount of memory"):
        layerhouse.connect(lake.root, memory="much")


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (("--limit-rows", "2"), 0, "range\n0\n1\n"),
        (("--limit-rows", "0"), 0, "range\n"),
        (("--timeout", "0.0001"), 1, "was stopped after 0.0001 s"),
        (("--memory", "much"), 2, "no amount of memory"),
        (("--memory", "1GB", "--timeout", "60", "--limit-rows", "1"), 0, "range\n0\n"),
    ],
)
def test_the_commands_have_limits(
    lake: Lake, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, part: str
) -> None:
    query = "FROM range(30000000)" if "--limit-rows" not in options else "FROM range(9)"
    found, said = _said(capsys, "sql", query, *options, "--lake", str(lake.root))
    assert (found or 0, part in said) == (code, True), said


@pytest.mark.parametrize(("most", "told"), [(2, True), (8, True), (9, False), (10, False)])
def test_rows_that_are_left_out_are_told(
    lake: Lake, capsys: pytest.CaptureFixture[str], most: int, told: bool
) -> None:
    with pytest.raises(SystemExit):
        main(["sql", "FROM range(9)", "--limit-rows", str(most), "--lake", str(lake.root)])
    said = capsys.readouterr().err
    assert said == (f"the first {most} rows; the query gives more\n" if told else "")


def test_a_shell_goes_on_after_a_query_that_took_too_long(
    lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from layerhouse.shell import Shell

    del tmp_path
    with Shell(lake, timeout=0.2) as shell:
        assert not shell._answer(ENDLESS)
        assert "was stopped after 0.2 s" in capsys.readouterr().err
        assert shell._answer("SELECT 7")
        assert "7" in capsys.readouterr().out
