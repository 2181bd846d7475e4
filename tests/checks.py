"""What the checks of `layerhouse validate` find, asked of the catalogue in SQL alone.

Great Expectations, which runs the same queries for the command, takes several times as long.
"""

from __future__ import annotations

from warehouse.catalogue import current, open_catalogue
from warehouse.lake.lake import Lake
from warehouse.validation.checks import all_checks
from warehouse.validation.running import prepare


def broken(lake: Lake) -> set[str]:
    """The names of the checks, errors and warnings, that find something in a lake."""
    with open_catalogue(current(lake)) as con:
        assert prepare(con, lake) == {}
        return {
            check.name
            for check in all_checks()
            if con.execute(f"SELECT 1 FROM ({check.sql}) LIMIT 1").fetchall()
        }
