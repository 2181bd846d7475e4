"""How Great Expectations reaches an open DuckDB connection: a small SQLAlchemy dialect.

Great Expectations fetches results after its pooled connection has rolled back, when DuckDB has
dropped them already; this dialect therefore keeps the rows of a statement in memory. It is written
on SQLAlchemy alone: duckdb-engine's types, loaded beside Great Expectations, make DuckDB complain
about leaked objects when the process ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
from sqlalchemy import pool
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.url import URL

MAX_BUFFERED_ROWS = 1000
"""Great Expectations looks at 200 rows of a result; a table full of bad rows need not fit here."""

_open: dict[str, duckdb.DuckDBPyConnection] = {}


@contextmanager
def lent(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """A SQLAlchemy URL whose engines run on `con` inside the block. The caller still owns `con`."""
    registry.register("duckdb.buffered", __name__, "BufferedDialect")
    token = uuid.uuid4().hex
    _open[token] = con
    try:
        yield f"duckdb+buffered:///{token}"
    finally:
        del _open[token]


class _Driver:
    """The part of a DB-API module that SQLAlchemy asks for."""

    apilevel = "2.0"
    threadsafety = 1
    paramstyle = "qmark"
    Error = duckdb.Error


class _Cursor:
    """A DB-API cursor that holds its rows itself."""

    rowcount = -1
    arraysize = 1

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._rows: list[Any] = []
        self.description: Any = None

    def execute(self, statement: str, parameters: Any = ()) -> None:
        self._con.execute(statement, parameters or None)
        self.description = self._con.description
        self._rows = self._con.fetchmany(MAX_BUFFERED_ROWS) if self.description else []

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self.arraysize if size is None else size
        taken, self._rows = self._rows[:wanted], self._rows[wanted:]
        return taken

    def fetchall(self) -> list[Any]:
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        self._rows = []


class _Connection:
    """A DB-API connection over one that somebody else opened and will close."""

    def __init__(self, token: str) -> None:
        self._token = token

    def cursor(self) -> _Cursor:
        return _Cursor(_open[self._token])

    def commit(self) -> None:
        """Nothing is written."""

    def rollback(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """The lender closes it."""


class BufferedDialect(DefaultDialect):
    """`duckdb+buffered:///TOKEN`, as `lent` hands it out."""

    name = "duckdb"
    driver = "buffered"
    default_paramstyle = "qmark"
    supports_native_boolean = True
    supports_statement_cache = False

    @classmethod
    def import_dbapi(cls) -> Any:
        return _Driver

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003
        return pool.StaticPool

    def create_connect_args(self, url: URL) -> Any:
        return [url.database], {}

    def connect(self, *arguments: Any, **options: Any) -> Any:
        return _Connection(*arguments)

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Mapping[str, Any]
    ) -> bool:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM duckdb_columns() WHERE table_name = ?", (table_name,)
        )
        return bool(found.scalar())
