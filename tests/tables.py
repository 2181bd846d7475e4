"""The tables of a lake without its views.

Of what a look at a lake costs after a commit, four fifths are views that the tests of extraction
do not ask for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from warehouse.catalogue.building import show_vectors
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.filling import fill
from warehouse.catalogue.reading import Warehouse, set_vector_shards
from warehouse.lake.commits import read_commit
from warehouse.lake.lake import Lake
from warehouse.lake.standing import Standing
from warehouse.schema import apply, migrations
from warehouse.vocabulary import VECTOR_TABLES


def tables(lake: Lake) -> Warehouse:
    """A lake's tables and its vectors, filled as those of its catalogue are."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{_no_rows()}' AS no_rows (READ_ONLY)")
    con.execute("COPY FROM DATABASE no_rows TO memory; DETACH no_rows")
    present = lake.store.commit_names()
    standing = Standing.of(lake, present)
    fill(con, lake, [read_commit(lake, name) for name in present if standing.is_live(name)])
    set_vector_shards(con, lake)
    for (name,) in con.execute("SELECT DISTINCT table_name FROM shard").fetchall():
        if name in VECTOR_TABLES:
            show_vectors(con, SHIPPED, name)
    return Warehouse(lake, con)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def _no_rows() -> Path:
    path = Path(_folder().name) / "tables.duckdb"
    with duckdb.connect(str(path)) as con:
        apply(con, migrations())
    return path
