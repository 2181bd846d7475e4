"""A catalogue in memory: a lake's tables and views over rows that are in no lake.

For work that must be judged by the very SQL that judges a lake, many times over, and whose rows
nobody wants to keep.
"""

from collections.abc import Mapping
from functools import cache

import duckdb

from warehouse.catalogue.definitions import SHIPPED, dependencies
from warehouse.catalogue.reading import Catalogue
from warehouse.lake import Rows, checked_table
from warehouse.schema import apply, migrations
from warehouse.vocabulary import VECTOR_TABLES

RUN_ID = "scratch"


class Scratch(Catalogue):
    """Reads like a lake that was just opened; rows come and go through `replace`.

    Marts are views here, always up to date. `hold` computes what a view reads once, for as long as
    its tables do not change.
    """

    def __init__(self) -> None:
        super().__init__(duckdb.connect())
        apply(self._con, migrations())
        for statement in SHIPPED.macros.values():
            self._con.execute(statement)
        for name, query in _queries().items():
            self._con.execute(f'CREATE VIEW "{name}" AS\n{query}')

    def replace(self, tables: Mapping[str, Rows]) -> None:
        """Let these tables hold these rows and no others, checked as a lake's are."""
        for name, rows in tables.items():
            table = checked_table(name, rows, RUN_ID)
            self._con.execute(f'DELETE FROM "{name}"')
            self._con.register("given", table)
            self._con.execute(f'INSERT INTO "{name}" BY NAME FROM given')
            self._con.unregister("given")

    def hold(self, *views: str) -> None:
        """Compute these views, and every view they read, once and for all until `release`."""
        held = {name for (name,) in self._con.execute(_HELD).fetchall()}
        for name in _reads(views):
            if name not in held:
                self._con.execute(f'CREATE TEMPORARY TABLE "{name}" AS FROM memory.main."{name}"')

    def release(self) -> None:
        """Forget what `hold` computed."""
        for (name,) in self._con.execute(_HELD).fetchall():
            self._con.execute(f'DROP TABLE temp."{name}"')


_HELD = "SELECT table_name FROM duckdb_tables() WHERE temporary"


@cache
def _graph() -> dict[str, frozenset[str]]:
    views = {name: query for name, query in SHIPPED.views.items() if name not in VECTOR_TABLES}
    with duckdb.connect() as con:
        apply(con, migrations())
        return dependencies(con, views | SHIPPED.marts)


def _queries() -> dict[str, str]:
    known = SHIPPED.views | SHIPPED.marts
    return {name: known[name] for name in _graph()}


def _reads(views: tuple[str, ...]) -> list[str]:
    """These views and all that they read, each after what it reads."""
    wanted, left = set(views), list(views)
    while left:
        new = _graph()[left.pop()] - wanted
        wanted |= new
        left += new
    return [name for name in _graph() if name in wanted]
