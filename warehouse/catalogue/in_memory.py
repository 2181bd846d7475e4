"""A catalogue in memory: a lake's tables and views over rows that are in no lake.

For work that must be judged by the very SQL that judges a lake, many times over, and whose rows
nobody wants to keep.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import duckdb

from warehouse.catalogue.definitions import SHIPPED, dependencies, references
from warehouse.catalogue.reading import Catalogue
from warehouse.catalogue.rows import Rows as Relation
from warehouse.lake import Rows, checked_table
from warehouse.schema import apply, migrations
from warehouse.vocabulary import VECTOR_TABLES

RUN_ID = "scratch"


class Scratch(Catalogue):
    """Reads like a lake that was just opened; rows come and go through `replace`.

    A view that a query reads is computed when it is first asked for, and again only after a table
    below it was replaced: nested in one another, views as deep as the verdict take seconds to plan.
    """

    def __init__(self) -> None:
        super().__init__(duckdb.connect())
        apply(self._con, migrations())
        for statement in SHIPPED.macros.values():
            self._con.execute(statement)
        self._held: set[str] = set()

    def sql(self, query: str, params: Any = None) -> Relation:
        compute(self._con, query, self._held)
        return super().sql(query, params)

    def replace(self, tables: Mapping[str, Rows]) -> None:
        """Let these tables hold these rows and no others, checked as a lake's are."""
        for name, rows in tables.items():
            table = checked_table(name, rows, RUN_ID)
            self._con.execute(f'DELETE FROM "{name}"')
            self._con.register("given", table)
            self._con.execute(f'INSERT INTO "{name}" BY NAME FROM given')
            self._con.unregister("given")
        for name in sorted(self._held):
            if not _reads(frozenset({name})).isdisjoint(tables):
                self._con.execute(f'DROP TABLE "{name}"')
                self._held.remove(name)


def compute(con: duckdb.DuckDBPyConnection, query: str, held: set[str]) -> None:
    """Make tables of the views and marts that a query reads, each after what it reads, but for
    those that `held` names; their names go there."""
    wanted = _reads(references(query, "the query"))
    for name, made_by in _queries().items():
        if name in wanted and name not in held:
            con.execute(f'CREATE TABLE "{name}" AS\n{made_by}')
            held.add(name)


@cache
def _queries() -> dict[str, str]:
    """Those of all views and marts but the views of vectors, each after what it reads."""
    known = {name: query for name, query in SHIPPED.views.items() if name not in VECTOR_TABLES}
    known |= SHIPPED.marts
    with duckdb.connect() as con:
        apply(con, migrations())
        return {name: known[name] for name in dependencies(con, known)}


@cache
def _reads(names: frozenset[str]) -> frozenset[str]:
    """These tables, views and marts, and all that they read, directly or through others."""
    found = set(names)
    for name, query in reversed(_queries().items()):
        if name in found:
            found |= references(query, name)
    return frozenset(found)
