"""A lake's Delta tables read by DuckDB's own delta extension, in another DuckDB than ours."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import layerhouse
from tests.warehouse.full_lake import full_lake
from tests.warehouse.small_lakes import add_extraction
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.refreshing import open_tables
from warehouse.delta import logged
from warehouse.lake import Lake
from warehouse.schema import PARTITIONS, table_schema

PYTHON = Path(__file__).parents[2] / ".venv-delta" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(), reason="DuckDB 1.5 is not installed; `make test-delta` sets it up"
    ),
]
READ = """
import json, sys
import duckdb
from duckdb_extensions import import_extension
con = duckdb.connect(config={"extension_directory": sys.argv[1] + "/extensions"})
import_extension("delta", con=con)
con.sql("LOAD delta")
for table, folder in json.loads(sys.argv[2]).items():
    con.sql(f"COPY (FROM delta_scan('{folder}')) TO '{sys.argv[1]}/{table}.parquet'")
"""


def _by_duckdb(lake: Lake, out: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables with logs, with the catalogue's columns in its order."""
    folders = {table: str(lake.root / table) for table in logged(lake)}
    out.mkdir()
    subprocess.run([PYTHON, "-c", READ, str(out), json.dumps(folders)], check=True, timeout=300)
    found = {}
    for table in folders:
        rows = pl.read_parquet(out / f"{table}.parquet").rename(PARTITIONS.get(table, {}))
        found[table] = sorted(map(str, rows.select(table_schema(table).names).rows()))
    return found


def _by_catalogue(lake: Lake) -> dict[str, list[str]]:
    open_tables(lake).close()
    with open_catalogue(lake) as con:
        return {
            table: sorted(map(str, con.sql(f'FROM "{table}"').pl().rows()))
            for table in logged(lake)
        }


def test_duckdb_reads_every_table_as_the_catalogue_has_it(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "my lakes" / "lake")
    layerhouse.delta(lake=lake)
    assert _by_duckdb(lake, tmp_path / "first") == _by_catalogue(lake)
    add_extraction(lake, "50% of/it=ünï")
    expected = _by_catalogue(lake)  # which brings the logs up to date
    assert _by_duckdb(lake, tmp_path / "second") == expected
    assert len(expected) == len(logged(lake)) > 40
