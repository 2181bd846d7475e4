"""What a lake holds of other models and of other datasets changes nothing of what it says of one.

Every view joins by model, dataset, probe and run; a key that a join forgets is seen only in a lake
that holds more than one of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.warehouse.full_lake import full_lake
from warehouse.catalogue.building import refill_marts
from warehouse.catalogue.definitions import SHIPPED
from warehouse.schema import table_schema, tables
from warehouse.vocabulary import VECTOR_TABLES

OTHER = "zz-"
OF_MODEL = ("model_id", "base_model_id", "donor_model_id", "probe_id", "fold_probe_id", "trial_id")
OF_DATASET = ("dataset_id", "probe_id", "fold_probe_id", "trial_id", "baseline_id")
NAMES = {"model": ("name",)}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_lake(tmp_path_factory.mktemp("beside") / "lake").catalogue


def told(con: duckdb.DuckDBPyConnection) -> dict[str, Counter[str]]:
    """The rows of every view and mart, but those that tell of the others."""
    names = sorted({*SHIPPED.views, *SHIPPED.marts} - set(VECTOR_TABLES))
    rows = {name: con.execute(f'FROM "{name}"').fetchall() for name in names}
    return {name: Counter(_own(found)) for name, found in rows.items()}


def _own(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    return [repr(row) for row in map(_rounded, rows) if OTHER not in repr(row)]


def _rounded(value: Any) -> Any:
    """Without the last digits of floats, which are summed in another order."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return tuple(map(_rounded, value)) if isinstance(value, tuple | list) else value


def add_others(con: duckdb.DuckDBPyConnection, renamed: tuple[str, ...]) -> None:
    """Every row that has one of these keys once more, of others that answer otherwise."""
    for table in tables():
        columns = table_schema(table).names
        keys = [key for key in renamed if key in columns]
        if table in VECTOR_TABLES or not keys:
            continue
        keys += [name for name in (*NAMES.get(table, ()), "run_id") if name in columns]
        changed = [f"'{OTHER}' || {key} AS {key}" for key in dict.fromkeys(keys)]
        changed += [
            f"({name} + 1) % 3 AS {name}" for name in columns if name == "predicted_class_index"
        ]
        con.execute(
            f'INSERT INTO "{table}" BY NAME SELECT * REPLACE ({", ".join(changed)}) FROM "{table}"'
        )


@pytest.mark.parametrize(
    "renamed",
    [
        pytest.param(OF_MODEL + OF_DATASET, id="other models on other datasets"),
        pytest.param(OF_MODEL, id="other models of the same datasets"),
        pytest.param(OF_DATASET, id="the same models on other datasets"),
    ],
)
def test_no_row_changes_by_what_lies_beside(
    catalogue: Path, tmp_path: Path, renamed: tuple[str, ...]
) -> None:
    """The others answer worse, so that nobody's rank changes either."""
    path = shutil.copy(catalogue, tmp_path / "catalogue.duckdb")
    with duckdb.connect(path) as con:
        before = told(con)
        add_others(con, renamed)
        refill_marts(con, SHIPPED)
        after = told(con)
    assert [name for name in before if before[name] != after[name]] == []
