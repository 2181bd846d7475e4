"""A catalogue with just the rows a test gives, and every macro, view and mart built."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from warehouse.catalogue.definitions import SHIPPED, references
from warehouse.catalogue.in_memory import compute
from warehouse.schema import apply, migrations, table_defaults, table_schema

Rows = dict[str, list[dict[str, Any]]]

DEFAULTS: list[tuple[Callable[[pa.DataType], bool], Any]] = [
    (pa.types.is_string, ""),
    (pa.types.is_integer, 0),
    (pa.types.is_floating, 0.0),
    (pa.types.is_boolean, False),
    (pa.types.is_list, []),
    (pa.types.is_timestamp, 0),
]


class Compared(list[Any]):
    """The rows of a query, which note that they were found equal to some that a test gives."""

    def __init__(self, rows: list[Any], views: set[str], noted: set[str]) -> None:
        super().__init__(rows)
        self.views, self.noted = views, noted

    def __eq__(self, other: object) -> bool:
        equal = list(self) == other
        if equal and self:
            self.noted |= self.views
        return equal

    __hash__ = None  # type: ignore[assignment]


class Relation:
    """What `sql` of a `Reader` returns: DuckDB's own, but for its rows."""

    def __init__(self, relation: Any, query: str, noted: set[str]) -> None:
        self.relation, self.noted = relation, noted
        read = references(query, "the query") & set(SHIPPED.views)
        self.views = set(read) if len(read) == 1 else set()  # of a join the rows are nobody's

    def __getattr__(self, name: str) -> Any:
        return getattr(self.relation, name)

    def fetchall(self) -> Compared:
        return Compared(self.relation.fetchall(), self.views, self.noted)


class Reader:
    """A connection that notes of which views a test compared rows.

    What a query reads is computed once, as in a lake's catalogue.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, noted: set[str], held: set[str] | None = None
    ) -> None:
        self.con, self.noted = con, noted
        self.held = set() if held is None else held

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)

    def sql(self, query: str, params: Any = None) -> Relation:
        compute(self.con, query, self.held)
        return Relation(self.con.sql(query, params=params), query, self.noted)


@pytest.fixture
def compared_views() -> set[str]:
    """The views of which the test found rows, equal to those it gives."""
    return set()


@pytest.fixture(autouse=True)
def exact_rows_are_compared(
    request: pytest.FixtureRequest, compared_views: set[str]
) -> Iterator[None]:
    """A test marked `exact_rows` of a view has compared rows of that view when it ends."""
    yield
    claimed = {view for mark in request.node.iter_markers("exact_rows") for view in mark.args}
    assert claimed <= compared_views, f"no rows compared of {claimed - compared_views}"


@pytest.fixture(scope="session")
def empty_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue file of tables without rows, built once: copying is quicker than building."""
    path = tmp_path_factory.mktemp("sql") / "empty.duckdb"
    with duckdb.connect(path) as con:
        apply(con, migrations())
        for statement in SHIPPED.macros.values():
            con.execute(statement)
    return path


@pytest.fixture
def catalogue(
    empty_catalogue: Path, tmp_path: Path, compared_views: set[str]
) -> Iterator[Callable[..., Reader]]:
    """Call it with {table: rows}; a column left out is NULL, or empty where NULL is forbidden."""
    opened = []

    def build(rows: Rows) -> Reader:
        path = tmp_path / f"catalogue-{len(opened)}.duckdb"
        shutil.copy(empty_catalogue, path)
        con = duckdb.connect(path)
        opened.append(con)
        fill(con, rows)
        return Reader(con, compared_views)

    yield build
    for con in opened:
        con.close()


def fill(con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Rows for the tables of an empty catalogue."""
    if "activation" in rows:
        con.execute("CREATE TABLE given AS FROM activation")
        con.execute("DROP VIEW activation")
        con.execute("ALTER TABLE given RENAME TO activation")
    for table, given in rows.items():
        insert(con, table, given)


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    schema = table_schema(table)
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{table} has no columns {unknown}"
    filled = [
        {field.name: row.get(field.name, default(table, field)) for field in schema} for row in rows
    ]
    data = pa.Table.from_pylist(filled, schema=schema)  # noqa: F841 - DuckDB reads the name
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM data')


def default(table: str, field: pa.Field) -> Any:
    if field.name in table_defaults(table):
        return table_defaults(table)[field.name]
    if field.nullable:
        return None
    if field.name == "run_id":
        return "r1"
    if field.name in ("config", "versions", "hyperparameters"):
        return "{}"
    return next(value for fits, value in DEFAULTS if fits(field.type))
