"""A catalogue with just the rows a test gives, and every macro, view and mart built."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from warehouse.catalogue.building import create_all, refill_marts
from warehouse.catalogue.definitions import Definitions
from warehouse.schema import apply, migrations, table_schema

Rows = dict[str, list[dict[str, Any]]]
Catalogue = Callable[..., duckdb.DuckDBPyConnection]

DEFAULTS: list[tuple[Callable[[pa.DataType], bool], Any]] = [
    (pa.types.is_string, ""),
    (pa.types.is_integer, 0),
    (pa.types.is_floating, 0.0),
    (pa.types.is_boolean, False),
    (pa.types.is_list, []),
    (pa.types.is_timestamp, 0),
]


@pytest.fixture(scope="session")
def empty_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue file without rows, built once: copying it is quicker than building."""
    path = tmp_path_factory.mktemp("sql") / "empty.duckdb"
    with duckdb.connect(path) as con:
        apply(con, migrations())
        create_all(con, Definitions(), with_activations=False)
    return path


@pytest.fixture
def catalogue(empty_catalogue: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """Call it with {table: rows}; a column left out is NULL, or empty where NULL is forbidden.

    Marts stay empty without `marts=True`, because filling them takes longer than most tests.
    """
    opened = []

    def build(rows: Rows, *, marts: bool = False) -> duckdb.DuckDBPyConnection:
        path = tmp_path / f"catalogue-{len(opened)}.duckdb"
        shutil.copy(empty_catalogue, path)
        con = duckdb.connect(path)
        opened.append(con)
        if "activation" in rows:
            con.execute("CREATE TABLE given AS FROM activation")
            con.execute("DROP VIEW activation")
            con.execute("ALTER TABLE given RENAME TO activation")
        for table, given in rows.items():
            insert(con, table, given)
        if marts:
            refill_marts(con, Definitions())
        return con

    yield build
    for con in opened:
        con.close()


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    schema = table_schema(table)
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{table} has no columns {unknown}"
    filled = [{field.name: row.get(field.name, default(field)) for field in schema} for row in rows]
    data = pa.Table.from_pylist(filled, schema=schema)  # noqa: F841 - DuckDB reads the name
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM data')


def default(field: pa.Field) -> Any:
    if field.nullable:
        return None
    if field.name == "run_id":
        return "r1"
    if field.name in ("config", "versions", "hyperparameters"):
        return "{}"
    return next(value for fits, value in DEFAULTS if fits(field.type))
