"""What readers of Delta tables find in a lake, held against what its catalogue has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from warehouse.catalogue import open_tables
from warehouse.catalogue.reading import open_catalogue
from warehouse.delta import logged
from warehouse.lake.lake import Lake
from warehouse.schema import PARTITIONS, table_schema

Found = list[tuple[Any, ...]]


def by_polars(lake: Lake, table: str, version: int | None = None) -> Found:
    """A table's rows as Polars reads its Delta log, with the catalogue's columns in its order."""
    found = pl.scan_delta(str(lake.root / table), version=version).rename(PARTITIONS.get(table, {}))
    return _sorted(found.select(table_schema(table).names).collect().rows())


def by_delta_rs(lake: Lake, table: str) -> Found:
    from deltalake import DeltaTable

    found: Any = pl.from_arrow(DeltaTable(str(lake.root / table)).to_pyarrow_table())
    named = found.rename(PARTITIONS.get(table, {}))
    return _sorted(named.select(table_schema(table).names).rows())


def assert_shown(lake: Lake, tables: Iterable[str] = ()) -> dict[str, int]:
    """These tables, or all that have a log, show the catalogue's rows; returns how many of each."""
    counts = {}
    open_tables(lake).close()
    with open_catalogue(lake) as con:
        for table in tables or logged(lake):
            expected = _sorted(con.sql(f'FROM "{table}"').pl().rows())
            assert by_polars(lake, table) == expected, table
            assert by_delta_rs(lake, table) == expected, table
            counts[table] = len(expected)
    assert counts
    return counts


def _sorted(rows: Found) -> Found:
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
