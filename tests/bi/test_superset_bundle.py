"""The bundle that Superset imports fits the published marts; `make bi-superset` imports it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from bi.lake import EXPECTED, PUBLISHED
from bi.superset.bundle import bundle
from tests.lakes import Signals, synthetic_lake
from warehouse.publishing.publishing import publish


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundle")
    publish(synthetic_lake(root / "lake", {"alpha": Signals()}, n_samples=40), root / "m.duckdb")
    return root / "m.duckdb"


@pytest.fixture(scope="module")
def files(marts: Path) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(bundle(marts))) as archive:
        return {
            name.removeprefix("layerhouse/"): yaml.safe_load(archive.read(name))
            for name in archive.namelist()
        }


def _of(files: dict[str, Any], folder: str) -> dict[str, Any]:
    return {name: content for name, content in files.items() if name.startswith(f"{folder}/")}


def test_the_database_is_opened_read_only(files: dict[str, Any], marts: Path) -> None:
    (database,) = _of(files, "databases").values()
    assert database["sqlalchemy_uri"] == f"duckdb:///{marts}?access_mode=read_only"
    assert not database["allow_dml"]


def test_every_table_is_a_data_set_with_its_columns(files: dict[str, Any], marts: Path) -> None:
    found = {
        (dataset["table_name"], column["column_name"], column["type"], column["description"])
        for dataset in _of(files, "datasets").values()
        for column in dataset["columns"]
    }
    with duckdb.connect(str(marts), read_only=True) as con:
        held = con.sql(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "WHERE NOT internal"
        ).fetchall()
    assert found == set(held)


def test_every_chart_asks_its_data_set_for_columns_it_has(files: dict[str, Any]) -> None:
    datasets = {dataset["uuid"]: dataset for dataset in _of(files, "datasets").values()}
    charts = _of(files, "charts")
    assert len(charts) > 5
    for name, chart in charts.items():
        params = chart["params"]
        held = {column["column_name"] for column in datasets[chart["dataset_uuid"]]["columns"]}
        asked = [
            *params.get("all_columns", []),
            *(json.loads(order)[0] for order in params.get("order_by_cols", [])),
            *(entry["subject"] for entry in params["adhoc_filters"]),
            params.get("x_axis"),
            *params.get("groupby", []) * isinstance(params.get("groupby"), list),
        ]
        plain = {column for column in asked if isinstance(column, str)}
        assert plain <= held, name


def test_the_dashboard_shows_every_chart_and_every_chart_has_its_proof(
    files: dict[str, Any],
) -> None:
    charts = _of(files, "charts")
    (dashboard,) = _of(files, "dashboards").values()
    placed = [
        part["meta"]["uuid"]
        for part in dashboard["position"].values()
        if isinstance(part, dict) and part["type"] == "CHART"
    ]
    assert sorted(placed) == sorted(chart["uuid"] for chart in charts.values())
    proven = {PUBLISHED, *(path.stem for path in EXPECTED.glob("*.sql"))}
    assert {Path(name).stem for name in charts} == proven


def test_every_filter_has_its_column(files: dict[str, Any]) -> None:
    columns = {
        (dataset["uuid"], column["column_name"])
        for dataset in _of(files, "datasets").values()
        for column in dataset["columns"]
    }
    (dashboard,) = _of(files, "dashboards").values()
    filters = dashboard["metadata"]["native_filter_configuration"]
    targets = {(t["datasetUuid"], t["column"]["name"]) for f in filters for t in f["targets"]}
    assert len(targets) == 3
    assert targets <= columns
