"""Build macros, views and marts from one file each, and describe everything with comments."""

import atexit
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import LayerhouseError, nearest
from warehouse.schema import SQL_ROOT, quoted


@dataclass(frozen=True)
class Definitions:
    """The SQL files of sql/: bare SELECTs of views and marts, CREATE statements of macros."""

    root: Path = SQL_ROOT

    @cached_property
    def views(self) -> dict[str, str]:
        return self._files("views")

    @cached_property
    def marts(self) -> dict[str, str]:
        return self._files("marts")

    @cached_property
    def macros(self) -> dict[str, str]:
        return self._files("macros")

    @cached_property
    def comments_text(self) -> str:
        return (self.root / "comments.toml").read_text(encoding="utf-8")

    @property
    def hash(self) -> str:
        """Changes when any file here does; a catalogue built from other files is stale."""
        everything = [self.views, self.marts, self.macros, self.comments_text]
        return blake2b(json.dumps(everything).encode(), digest_size=16).hexdigest()

    def _files(self, folder: str) -> dict[str, str]:
        paths = sorted((self.root / folder).glob("*.sql"))
        return {path.stem: path.read_text(encoding="utf-8") for path in paths}


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


def create_all(
    con: duckdb.DuckDBPyConnection,
    definitions: Definitions,
    *,
    with_activations: bool,
    stored: bool = False,
) -> None:
    """Macros, views, marts and comments in a catalogue whose tables are already filled.

    `with_activations` says whether the lake holds activation shards; without any, the empty view
    of the migrations stays. With `stored`, the rows of every view that reads no vectors are kept in
    the schema `stored`, and the view of that name only shows them: the answer is the same, and a
    warehouse of thousands of probes gives it at once.
    """
    con.begin()
    views, marts = dict(definitions.views), definitions.marts
    activation = views.pop("activation", None)
    if activation and with_activations:
        _create(con, 'VIEW "activation"', activation, "activation")
    for name, statement in definitions.macros.items():
        _run(con, statement, f"macros/{name}.sql")
    graph = dependencies(con, views | marts)
    for name in graph:
        if name in views:
            _create(con, f'VIEW "{name}"', views[name], name)
    if stored:
        con.execute("CREATE SCHEMA IF NOT EXISTS stored")
    _fill(con, definitions, graph, lambda name: _create(con, f'TABLE "{name}"', marts[name], name))
    comment_all(con, parse_comments(definitions.comments_text))
    con.commit()


def refill_marts(
    con: duckdb.DuckDBPyConnection,
    definitions: Definitions,
    changed: frozenset[str] | None = None,
) -> None:
    """Bring marts and stored views up to date in a catalogue built from these definitions.

    `changed` names the tables that have other rows than before, None for any: what reads none of
    them, directly or through others, is left as it is.
    """

    def refill(name: str) -> None:
        _run(con, f'DELETE FROM "{name}"', name)
        _run(con, f'INSERT INTO "{name}"\n{definitions.marts[name]}', f"{name}.sql")

    con.begin()
    views = {name: query for name, query in definitions.views.items() if name != "activation"}
    graph = dependencies(con, views | definitions.marts)
    if changed is not None and _stores(con):
        graph = _stale(definitions, graph, changed)
    _fill(con, definitions, graph, refill)
    con.commit()


def _stale(
    definitions: Definitions, graph: Mapping[str, frozenset[str]], changed: frozenset[str]
) -> dict[str, frozenset[str]]:
    """The part of the graph that changed tables reach, in the same order."""
    queries = definitions.views | definitions.marts
    reached = set(changed)
    for name in graph:
        if not reached.isdisjoint(references(queries[name], name)):
            reached.add(name)
    return {name: read for name, read in graph.items() if name in reached}


def _fill(
    con: duckdb.DuckDBPyConnection,
    definitions: Definitions,
    graph: Mapping[str, frozenset[str]],
    fill: Callable[[str], None],
) -> None:
    """Fill the marts and the stored views in order; a view that several read is computed once.

    Where views are not stored, a temporary table hides such a view meanwhile: views nested in views
    would otherwise be planned and run again for each of their readers.
    """
    readers = Counter(name for read in graph.values() for name in read)
    stored = _storable(definitions, graph) if _stores(con) else frozenset()
    held = []
    for name in graph:
        if name in definitions.marts:
            fill(name)
        elif name in stored:
            _store(con, name, definitions.views[name])
        elif readers[name] > 1:
            _create(con, f'TEMPORARY TABLE "{name}"', definitions.views[name], name)
            held.append(name)
    for name in held:
        con.execute(f'DROP TABLE temp."{name}"')


def _store(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    """Keep a view's rows; those kept before give way, their table and its comments stay."""
    held = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'stored' AND table_name = ?", [name]
    ).fetchall()
    if held:
        con.execute(f'DELETE FROM stored."{name}"')
        _run(con, f'INSERT INTO stored."{name}"\n{query}', f"{name}.sql")
        return
    _create(con, f'TABLE stored."{name}"', query, name)
    _create(con, f'VIEW "{name}"', f'SELECT * FROM stored."{name}"', name)


def _stores(con: duckdb.DuckDBPyConnection) -> bool:
    found = con.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'stored'").fetchall()
    return bool(found)


def _storable(definitions: Definitions, graph: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The views whose rows come from small tables alone; vectors stay in their shards."""
    vectors = {"activation"}
    for name in graph:
        if not vectors.isdisjoint(references(definitions.views.get(name, "SELECT 1"), name)):
            vectors.add(name)
    return frozenset(set(definitions.views) - vectors)


def drop_all(con: duckdb.DuckDBPyConnection) -> None:
    """Remove what `create_all` made, perhaps from other files; tables of the migrations stay."""
    marts = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'mart_')"
    )
    for (name,) in marts.fetchall():
        con.execute(f'DROP TABLE "{name}"')
    views = con.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND view_name <> 'activation'"
    )
    for (name,) in views.fetchall():
        con.execute(f'DROP VIEW "{name}"')
    con.execute("DROP SCHEMA IF EXISTS stored CASCADE")
    macros = con.execute(
        "SELECT DISTINCT function_name, function_type FROM duckdb_functions() WHERE NOT internal"
    )
    for name, kind in macros.fetchall():
        con.execute(f'DROP MACRO {"TABLE" if kind == "table_macro" else ""} "{name}"')


def _create(con: duckdb.DuckDBPyConnection, what: str, query: str, name: str) -> None:
    _run(con, f"CREATE OR REPLACE {what} AS\n{query}", f"{name}.sql")


def _run(con: duckdb.DuckDBPyConnection, statement: str, name: str) -> None:
    try:
        con.execute(statement)
    except duckdb.Error as error:
        raise LayerhouseError(f"{name} does not build: {error}") from error


@dataclass(frozen=True)
class Comments:
    """What sql/comments.toml says; `columns` of a relation includes the shared ones it may use."""

    shared: dict[str, str]
    relations: dict[str, str]
    columns: dict[str, dict[str, str]]
    macros: dict[str, str]


def parse_comments(text: str) -> Comments:
    """Read the tables `[relation]` (key `comment`, column names), `[shared]` and `[macros]`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LayerhouseError(f"sql/comments.toml does not parse: {error}") from error
    shared = tree.pop("shared", {})
    macros = tree.pop("macros", {})
    return Comments(
        shared=shared,
        macros=macros,
        relations={name: entry["comment"] for name, entry in tree.items() if "comment" in entry},
        columns={
            name: {column: text for column, text in entry.items() if column != "comment"}
            for name, entry in tree.items()
        },
    )


def comment_all(con: duckdb.DuckDBPyConnection, comments: Comments) -> None:
    """Attach every comment whose table, view, column or macro exists."""
    con.execute(";\n".join(_comment_statements(con, comments)) or "SELECT 1")


def _comment_statements(con: duckdb.DuckDBPyConnection, comments: Comments) -> Iterator[str]:
    columns = _columns(con)
    for schema, name, _, column in columns:
        own = comments.columns.get(name, {})
        text = own.get(column, comments.shared.get(column))
        if text is not None:
            yield f'COMMENT ON COLUMN {schema}."{name}"."{column}" IS {quoted(text)}'
    for schema, name, kind in {(schema, name, kind) for schema, name, kind, _ in columns}:
        if name in comments.relations:
            text = comments.relations[name]
            yield f'COMMENT ON {kind} {schema}."{name}" IS {quoted(text)}'
    macros = con.execute(
        "SELECT DISTINCT function_name, function_type FROM duckdb_functions() WHERE NOT internal"
    )
    for name, kind in macros.fetchall():
        if name in comments.macros:
            what = "MACRO TABLE" if kind == "table_macro" else "MACRO"
            yield f'COMMENT ON {what} "{name}" IS {quoted(comments.macros[name])}'


def _columns(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    """(schema, relation, TABLE or VIEW, column) of everything that is not DuckDB's own."""
    return con.execute(
        "SELECT c.schema_name, table_name, if(v.view_name IS NULL, 'TABLE', 'VIEW'), column_name "
        "FROM duckdb_columns() AS c LEFT JOIN duckdb_views() AS v ON c.table_name = v.view_name "
        "AND c.schema_name = v.schema_name AND NOT v.internal WHERE NOT c.internal ORDER BY ALL"
    ).fetchall()
