"""Spark reads the same shards, and says of every view and mart what DuckDB says."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.warehouse.full_lake import full_lake
from tests.warehouse.small_lakes import DATASET, answer_row, extract_spec, small_lake
from warehouse.catalogue.definitions import Definitions
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake import removing_samples
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.schema import tables
from warehouse.spark import spark_tables, spark_views, to_spark
from warehouse.vocabulary import VECTOR_TABLES

pytest.importorskip("pyspark", reason="Spark is not installed (pip install 'layerhouse[spark]')")
pytest.importorskip("sqlglot", reason="sqlglot is not installed (pip install 'layerhouse[spark]')")
if shutil.which("java") is None:
    pytest.skip("Spark needs a Java, and there is none on this machine", allow_module_level=True)

NOT_PORTABLE = {
    "answer_auroc",
    "calibrated_answer",
    "fault_detection",
    "fault_outcome",
    "pointwise_information",
    "probability_score",
    "steered_direction",
}
DEFINITIONS = Definitions()
VIEWS = sorted(set(DEFINITIONS.views) - set(VECTOR_TABLES))


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",  # which takes longer here than it saves
        "spark.sql.session.timeZone": "UTC",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = full_lake(tmp_path_factory.mktemp("spark") / "lake")
    _join_rows_of_one_key(lake)
    # A shard without a commit does not exist, for Spark neither.
    shard = next((lake.root / "probe").glob("part-*.parquet"))
    shutil.copy(shard, shard.with_name("part-probe-of-a-killed-agent-7.parquet"))
    return lake


def _join_rows_of_one_key(lake: Lake) -> None:
    """A run brings a row again and again, another has the last word, and the first is joined."""
    for index, run in enumerate([*["one"] * FEWEST, "other"]):
        RunWriter(lake, extract_spec(run=run)).commit(
            {"answer": [answer_row("s0") | {"text": f"{run} {index}"}]},
            covers={"replaces": ["answer"], "loci": [f"{index}"]},
        )
    assert all(one.joined for one in compact(lake))


@pytest.fixture(scope="module")
def taken(spark: Any, lake: Lake) -> dict[str, str]:
    return spark_views(spark, lake, root=lake.root.as_uri())


def _rows(columns: list[str], rows: list[Any]) -> list[tuple[Any, ...]]:
    """Sorted by all that is no float, then by the floats."""

    def key(row: tuple[Any, ...]) -> tuple[list[str], list[str]]:
        exact = [repr(value) for value in row if not isinstance(value, float | list)]
        return exact, [f"{value:.6f}" for value in row if isinstance(value, float)]

    places = sorted(range(len(columns)), key=lambda place: columns[place])
    return sorted((tuple(row[place] for place in places) for row in rows), key=key)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) or (
            one != one and other != other
        )
    return bool(one == other)


def _differing(spark: Any, lake: Lake, name: str) -> list[Any]:
    """Pairs of rows, Spark's and DuckDB's, that say different things."""
    found = spark.table(name)
    with connect(lake) as wh:
        expected = wh.sql(f'SELECT * FROM "{name}"')
        assert found.columns == expected.columns
        right = _rows(expected.columns, expected.fetchall())
    left = _rows(found.columns, found.collect())
    assert len(left) == len(right)
    return [pair for pair in zip(left, right, strict=True) if not all(map(_same, *pair))]


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize("name", [*tables(), *VIEWS, *sorted(DEFINITIONS.marts)])
def test_spark_and_duckdb_say_the_same(spark: Any, lake: Lake, name: str) -> None:
    assert _differing(spark, lake, name) == []


def test_removed_samples_are_hidden_while_shards_still_hold_them(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = small_lake(tmp_path / "lake")
    monkeypatch.setattr(removing_samples, "erase", lambda _: iter(()))
    removing_samples.remove_samples(lake, DATASET, ["s1"])
    own = spark.newSession()
    spark_tables(own, lake, root=lake.root.as_uri())
    for name in ("dataset", "sample", "answer", "activation", "removed_sample"):
        assert _differing(own, lake, name) == []
    assert own.sql("SELECT count(*) AS n FROM answer").collect()[0].n == 3
    assert own.sql("SELECT n_samples AS n FROM dataset").collect()[0].n == 3


def test_what_has_no_counterpart_is_named(taken: dict[str, str]) -> None:
    assert set(taken) == NOT_PORTABLE
    assert all(why.startswith("not in Spark's SQL: ") for why in taken.values())
    assert "list_has_all" in taken["fault_outcome"].lower()


def test_an_unknown_function_is_no_counterpart() -> None:
    assert to_spark("SELECT arg_max(a, b) FILTER (WHERE c) AS d FROM t").startswith("SELECT MAX_BY")
    with pytest.raises(LayerhouseError, match="generate_subscripts"):
        to_spark("SELECT generate_subscripts(a, 1) FROM t")
    macro = "-- Why.\nCREATE OR REPLACE MACRO ratio(x, y) AS x / y;"
    assert to_spark("SELECT ratio(a, ratio(b + 1, 2)) AS c FROM t", {"ratio": macro}) == (
        to_spark("SELECT ((a) / (((b + 1) / (2)))) AS c FROM t")
    )
    with pytest.raises(LayerhouseError, match="ratio"):
        to_spark("SELECT ratio(a, b) FROM t")


def test_what_sqlglot_would_get_wrong(spark: Any) -> None:
    """It leaves formats as they are, and counts places in lists from one where Spark does not."""
    places = "list_extract([4.0, 5.0], 2), list_position([4.0, 5.0], 5.0)"
    chosen = f"{places}, format('{{:.0f}}% of {{:,}}', a, 1300)"
    query = f"SELECT a, {chosen} FROM (VALUES (0.5), (1.5), (-2.5), (99.6)) AS t (a)"
    expected = [tuple(map(str, row)) for row in duckdb.sql(query).fetchall()]
    assert [tuple(map(str, row)) for row in spark.sql(to_spark(query)).collect()] == expected
    for one in ("l[a]", "format('{:.1f}', a)", "format('{}', a)"):
        with pytest.raises(LayerhouseError, match="not in Spark's SQL"):
            to_spark(f"SELECT {one} FROM t")


def test_vectors_come_out_as_they_went_in(spark: Any, lake: Lake, taken: dict[str, str]) -> None:
    del taken
    rows = spark.sql(
        "SELECT sample_id, vector FROM activation WHERE model_id = 'alpha' AND dataset_id = "
        "'shapes' AND module = 'llm' AND layer = 1 AND readout = 'mean'"
    ).collect()
    with connect(lake) as wh:
        X, samples = wh.activations(
            model="alpha", dataset="shapes", module="llm", layer=1, readout="mean"
        )
    expected = dict(zip(samples["sample_id"], X.tolist(), strict=True))
    assert {row.sample_id: row.vector for row in rows} == expected
