"""What sql/ defines: macros, views and marts, one file each, and what their queries read."""

import atexit
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import LayerhouseError, nearest
from warehouse.schema import SQL_ROOT


@dataclass(frozen=True)
class Definitions:
    """The files of sql/: bare SELECTs of views and marts, CREATE statements of macros, comments.

    A file's name is the name of what it defines; the folders that views lie in are for the reader.
    """

    root: Path = SQL_ROOT

    @cached_property
    def views(self) -> dict[str, str]:
        return self._sql("views")

    @cached_property
    def marts(self) -> dict[str, str]:
        return self._sql("marts")

    @cached_property
    def macros(self) -> dict[str, str]:
        return self._sql("macros")

    @cached_property
    def comments(self) -> dict[str, str]:
        """The text of each comment file by its path below sql/."""
        folders = ("schema", "views", "marts", "macros")
        paths = [path for folder in folders for path in (self.root / folder).rglob("*.toml")]
        return {
            path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted([self.root / "columns.toml", *paths])
        }

    @cached_property
    def hash(self) -> str:
        """Changes when any file here does; a catalogue built from other files is stale."""
        everything = [self.views, self.marts, self.macros, self.comments]
        return blake2b(json.dumps(everything).encode(), digest_size=16).hexdigest()

    def _sql(self, folder: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in sorted((self.root / folder).rglob("*.sql"), key=lambda path: path.stem):
            if path.stem in found:
                raise LayerhouseError(f"two files below sql/{folder} are named {path.name}")
            found[path.stem] = path.read_text(encoding="utf-8")
        return found


SHIPPED = Definitions()
"""Those of this Layerhouse, whose files a process reads once."""


@cache
def references(query: str, name: str) -> frozenset[str]:
    """The tables and views a SELECT reads, without the steps it names itself in WITH.

    `name` is the file named in errors. Works on the syntax alone: nothing needs to exist yet.
    """
    ((text,),) = _parser().cursor().execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    tree = json.loads(text)
    if tree["error"] or len(tree["statements"]) != 1:
        reason = tree.get("error_message", f"it holds {len(tree.get('statements', []))}")
        raise LayerhouseError(f"{name}.sql is not one SELECT: {reason}")
    nodes = list(_objects(tree))
    tables = {node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"}
    maps = [node["cte_map"]["map"] for node in nodes if "cte_map" in node]
    return frozenset(tables - {entry["key"] for named in maps for entry in named})


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """One empty database to parse in: opening one for each query took longer than the parsing.

    It is let go before Python ends, or DuckDB's binding would report it as leaked.
    """
    atexit.register(_parser.cache_clear)
    return duckdb.connect(config={"threads": 1})


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = value.values()
    elif not isinstance(value, list):
        return
    for item in value:
        yield from _objects(item)


def dependencies(
    con: duckdb.DuckDBPyConnection, queries: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """For each query the other queries it reads, in an order that builds each after those.

    Raises LayerhouseError if one reads something that neither the connection nor another query
    defines, or if they read each other in a circle.
    """
    defined = {row[0] for row in con.execute("SHOW TABLES").fetchall()}
    graph: dict[str, frozenset[str]] = {}
    for name, query in queries.items():
        read = references(query, name)
        unknown = read - defined - set(queries)
        if unknown:
            lost = min(unknown)
            raise LayerhouseError(
                f"{name}.sql reads {lost}, which no migration, view or mart defines"
                f"{nearest(lost, defined | set(queries))}"
            )
        graph[name] = read & set(queries)
    try:
        return {name: graph[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise LayerhouseError(f"views read each other in a circle: {circle}") from error
