"""Build macros, views and marts from their definitions, and describe everything with comments."""

from collections.abc import Collection, Mapping

import duckdb

from warehouse.catalogue.comments import comment_all, comment_on, parse_comments
from warehouse.catalogue.definitions import Definitions, dependencies, references
from warehouse.errors import LayerhouseError
from warehouse.schema import identifier
from warehouse.vocabulary import VECTOR_TABLES

UNCHANGED = frozenset({"diagnosed_answer", "unseen_answer"})
"""Views that show rows of a table as they are: stored, they would be in the catalogue twice."""


class UnbuiltError(LayerhouseError):
    """The rows of a lake, and not the SQL, keep a view or mart from being built."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}.sql does not build: {reason}")
        self.name, self.reason = name, reason


def create_all(con: duckdb.DuckDBPyConnection, definitions: Definitions) -> None:
    """Macros, views, marts and comments in a catalogue whose tables are already filled.

    The views of vectors are left as they are. The rows of every view that reads no vectors are kept
    in the schema `stored` (but those of `UNCHANGED`), and the view of that name only shows them:
    the answer is the same, and a warehouse of thousands of probes gives it at once.

    A view that the rows keep from being built is left out, and what reads it too; the table
    `unbuilt_view` then names them.
    """
    left_out: dict[str, str] = {}
    while True:
        con.begin()
        try:
            _create_all(con, definitions, left_out)
        except UnbuiltError as error:
            con.rollback()
            left_out |= _unbuilt(con, definitions, error)
        else:
            con.execute("DELETE FROM unbuilt_view")
            for row in left_out.items():
                con.execute("INSERT INTO unbuilt_view VALUES (?, ?)", row)
            con.commit()
            return


def _unbuilt(
    con: duckdb.DuckDBPyConnection, definitions: Definitions, error: UnbuiltError
) -> dict[str, str]:
    """The view and all that read it, directly or through others, with why each is left out."""
    found = {error.name: error.reason}
    queries = {name: text for name, text in definitions.views.items() if name not in VECTOR_TABLES}
    for name, read in dependencies(con, queries | definitions.marts).items():
        lacking = sorted(read & found.keys())
        if lacking:
            found[name] = f"it reads {lacking[0]}, which does not build"
    return found


def _create_all(
    con: duckdb.DuckDBPyConnection, definitions: Definitions, left_out: Collection[str]
) -> None:
    views, marts = (
        {name: query for name, query in each.items() if name not in left_out}
        for each in (definitions.views, definitions.marts)
    )
    for name in VECTOR_TABLES:
        views.pop(name, None)
    for name, statement in definitions.macros.items():
        _run(con, statement, f"macros/{name}.sql")
    graph = dependencies(con, views | marts)
    con.execute("CREATE SCHEMA IF NOT EXISTS stored")
    kept = _storable(definitions, graph)
    for name in graph:
        if name in kept:
            _store(con, name, views[name])
        elif name in views:
            _create(con, f'VIEW "{name}"', views[name], name)
        else:
            _create(con, f'TABLE "{name}"', marts[name], name)
    comment_all(con, parse_comments(definitions.comments))


def shows_vectors(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether the view of the table's shards is there, not the empty one of the migrations."""
    found = con.execute(
        "SELECT 1 FROM duckdb_views() WHERE view_name = $1 AND contains(sql, $1 || '_shards')",
        [table],
    )
    return bool(found.fetchall())


def show_vectors(con: duckdb.DuckDBPyConnection, definitions: Definitions, table: str) -> None:
    """Put the view of the table's shards in the place of the empty one; all else stays as it was
    built."""
    con.begin()
    _create(con, f'VIEW "{table}"', definitions.views[table], table)
    comment_on(con, parse_comments(definitions.comments), table)
    con.commit()


def refill_marts(
    con: duckdb.DuckDBPyConnection,
    definitions: Definitions,
    changed: frozenset[str] | None = None,
) -> None:
    """Bring marts and stored views up to date in a catalogue built from these definitions.

    `changed` names the tables that have other rows than before, None for any: what reads none of
    them, directly or through others, is left as it is. Raises UnbuiltError, with nothing done.
    """
    con.begin()
    views = {name: query for name, query in definitions.views.items() if name not in VECTOR_TABLES}
    queries = views | definitions.marts
    graph = dependencies(con, queries)
    stored = _storable(definitions, graph)
    reached = set(changed or ())
    try:
        for name in graph:
            if changed is not None and reached.isdisjoint(references(queries[name], name)):
                continue
            moved = True
            if name in stored or name in definitions.marts:
                schema = "stored" if name in stored else "main"
                moved = _replace(con, name, queries[name], schema)
            if moved:  # what was and stays empty passes nothing on
                reached.add(name)
    except UnbuiltError:
        con.rollback()
        raise
    con.commit()


def _store(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    """Keep a view's rows, and let the view of its name show them."""
    _create(con, f'TABLE stored."{name}"', query, name)
    _create(con, f'VIEW "{name}"', f'SELECT * FROM stored."{name}"', name)


def _replace(con: duckdb.DuckDBPyConnection, name: str, query: str, schema: str) -> bool:
    """Give a table the rows of a query; False where it had none and has none."""
    table = f'{schema}."{name}"'
    gone = _run(con, f"DELETE FROM {table}", f"{name}.sql")
    come = _run(con, f"INSERT INTO {table}\n{query}", f"{name}.sql")
    return gone + come > 0


def _storable(definitions: Definitions, graph: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The views whose rows come from small tables alone; vectors stay in their shards."""
    vectors = set(VECTOR_TABLES)
    for name in graph:
        if not vectors.isdisjoint(references(definitions.views.get(name, "SELECT 1"), name)):
            vectors.add(name)
    return frozenset(set(definitions.views) - vectors - UNCHANGED)


def drop_all(con: duckdb.DuckDBPyConnection) -> None:
    """Remove what `create_all` made, perhaps from other files; tables of the migrations stay."""
    marts = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'mart_')"
    )
    for (name,) in marts.fetchall():
        con.execute(f"DROP TABLE {identifier(name)}")
    views = con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
    for (name,) in views.fetchall():
        if name not in VECTOR_TABLES:
            con.execute(f"DROP VIEW {identifier(name)}")
    con.execute("DROP SCHEMA IF EXISTS stored CASCADE")
    macros = con.execute(
        "SELECT DISTINCT function_name, function_type FROM duckdb_functions() WHERE NOT internal"
    )
    for name, kind in macros.fetchall():
        what = "TABLE" if kind == "table_macro" else ""
        con.execute(f"DROP MACRO {what} {identifier(name)}")


def _create(con: duckdb.DuckDBPyConnection, what: str, query: str, name: str) -> None:
    _run(con, f"CREATE OR REPLACE {what} AS\n{query}", f"{name}.sql")


def _run(con: duckdb.DuckDBPyConnection, statement: str, name: str) -> int:
    """Run the statement of a file; how many rows it deleted or added."""
    try:
        (count,) = con.execute(statement).fetchone() or (0,)
    except (duckdb.DataError, duckdb.InvalidInputException) as error:
        said = str(error).strip().partition("\n")[0]
        raise UnbuiltError(name.removesuffix(".sql"), said) from error
    except duckdb.Error as error:
        raise LayerhouseError(f"{name} does not build: {error}") from error
    return int(count)
