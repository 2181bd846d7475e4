"""The lake, its catalogue and its readers. Names load on first use, so that a query starts fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError, UsageError

if TYPE_CHECKING:
    from warehouse.catalogue import connect, refresh
    from warehouse.commits import Commit, Shard, list_commits
    from warehouse.connection import Warehouse
    from warehouse.lake import Lake
    from warehouse.runs import RunSpec, RunWriter, config_difference, find_runs
    from warehouse.schema import table_schema

__all__ = [
    "Commit",
    "Lake",
    "LayerhouseError",
    "RunSpec",
    "RunWriter",
    "Shard",
    "UsageError",
    "Warehouse",
    "config_difference",
    "connect",
    "find_runs",
    "list_commits",
    "refresh",
    "table_schema",
]

_HOMES = {
    "Commit": "commits",
    "Lake": "lake",
    "RunSpec": "runs",
    "RunWriter": "runs",
    "Shard": "commits",
    "Warehouse": "connection",
    "config_difference": "runs",
    "connect": "catalogue",
    "find_runs": "runs",
    "list_commits": "commits",
    "refresh": "catalogue",
    "table_schema": "schema",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"warehouse.{_HOMES[name]}"), name)
