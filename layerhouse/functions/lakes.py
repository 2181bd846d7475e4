"""Functions on a whole lake: read it, check it, publish its marts."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from layerhouse.functions.arguments import Place, Several, lake_at, several
from layerhouse.parts import part
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from layerhouse.functions.notebook import OpenLake
    from warehouse.delta import DeltaLog
    from warehouse.validation import ValidationReport


def connect(
    lake: Place = None, *, timeout: float | None = None, memory: str | None = None
) -> OpenLake:
    """Open a lake read-only, its catalogue brought up to date first.

    What it gives shows itself in a notebook, has the usual frames by name and figures as
    `plot.signal_curve(model, dataset)`. A query may take `timeout` seconds and that much `memory`,
    such as "4GB"; by default there is no limit.
    """
    from layerhouse.functions.notebook import OpenLake
    from warehouse.catalogue import connect as open_lake

    return OpenLake(open_lake(lake_at(lake), timeout=timeout, memory=memory), memory)


def publish(out: str | PathLike[str], *, patients: bool = False, lake: Place = None) -> list[Path]:
    """Write the marts for BI tools to a folder or one `.duckdb` file; returns what was written.

    Group ids and paths are left out unless `patients` asks for them.
    """
    from warehouse.publishing import publish as write

    return write(lake_at(lake), Path(out), patients=patients)


def delta(table: Several = (), *, remove: bool = False, lake: Place = None) -> list[DeltaLog]:
    """Write Delta logs over the lake's shards, of all tables or of some, or bring them up to date;
    returns one of each. They follow the lake from then on. With `remove` they are deleted; returns
    none."""
    from warehouse.catalogue import write_delta
    from warehouse.delta import remove as delete
    from warehouse.schema import table_schema, tables

    chosen, known, place = several(table), tables(), lake_at(lake)
    for name in chosen:
        table_schema(name)
        if name not in known:
            raise UsageError(f"{name} is the catalogue's own and lies in no shard")
    if remove:
        delete(place, chosen or known)
        return []
    return write_delta(place, chosen or known)


@part("validate")
def validate(
    *, data_docs: str | PathLike[str] | None = None, lake: Place = None
) -> ValidationReport:
    """Check every table and mart; `data_docs` is a folder for Data Docs that open offline.

    A check that fails is in the report, whose `passed` says whether all of them passed.
    """
    from warehouse.validation import validate as check

    place, folder = lake_at(lake), None if data_docs is None else Path(data_docs)
    if folder is not None:
        place.refuse_own(folder)
    return check(place, folder)
