"""The comments of tables, views, columns and macros: read from sql/, attached to a catalogue.

Beside each SQL file lies a .toml of the same name with its `comment` and the columns that mean
something of their own there; one beside a migration has a section for each table. sql/columns.toml
says what a column means wherever it occurs.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import duckdb

from warehouse.errors import LayerhouseError
from warehouse.schema import identifier, quoted

Columns = list[tuple[str, str, str, str]]
"""(schema, relation, TABLE or VIEW, column) of each."""


@dataclass(frozen=True)
class Comments:
    """What the comment files say; `columns` holds those of a relation's own."""

    shared: dict[str, str]
    relations: dict[str, str]
    columns: dict[str, dict[str, str]]
    macros: dict[str, str]


def parse_comments(files: Mapping[str, str]) -> Comments:
    """Read comment files, given as path below sql/ → text."""
    shared: dict[str, str] = {}
    macros: dict[str, str] = {}
    entries: dict[str, dict[str, str]] = {}
    for name, text in files.items():
        path = PurePosixPath(name)
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise LayerhouseError(f"sql/{name} does not parse: {error}") from error
        if name == "columns.toml":
            shared = tree
        elif path.parts[0] == "macros":
            macros[path.stem] = tree["comment"]
        else:
            # Later migrations add columns to a table, and so to its entry.
            for relation, entry in (
                tree if path.parts[0] == "schema" else {path.stem: tree}
            ).items():
                entries.setdefault(relation, {}).update(entry)
    return Comments(
        shared=shared,
        macros=macros,
        relations={name: entry["comment"] for name, entry in entries.items() if "comment" in entry},
        columns={
            name: {column: text for column, text in entry.items() if column != "comment"}
            for name, entry in entries.items()
        },
    )


def comment_all(con: duckdb.DuckDBPyConnection, comments: Comments) -> None:
    """Attach every comment whose table, view, column or macro exists."""
    statements = [*_of_relations(comments, _columns(con)), *_of_macros(con, comments)]
    con.execute(";\n".join(statements) or "SELECT 1")


def comment_on(con: duckdb.DuckDBPyConnection, comments: Comments, relation: str) -> None:
    """Attach the comments of one table or view and its columns."""
    columns = [row for row in _columns(con) if row[1] == relation]
    con.execute(";\n".join(_of_relations(comments, columns)) or "SELECT 1")


def _of_relations(comments: Comments, columns: Columns) -> Iterator[str]:
    for schema, name, _, column in columns:
        own = comments.columns.get(name, {})
        text = own.get(column, comments.shared.get(column))
        if text is not None:
            place = ".".join(map(identifier, (schema, name, column)))
            yield f"COMMENT ON COLUMN {place} IS {quoted(text)}"
    for schema, name, kind in {(schema, name, kind) for schema, name, kind, _ in columns}:
        if name in comments.relations:
            text = comments.relations[name]
            place = f"{identifier(schema)}.{identifier(name)}"
            yield f"COMMENT ON {kind} {place} IS {quoted(text)}"


def _of_macros(con: duckdb.DuckDBPyConnection, comments: Comments) -> Iterator[str]:
    macros = con.execute(
        "SELECT DISTINCT function_name, function_type FROM duckdb_functions() WHERE NOT internal"
    )
    for name, kind in macros.fetchall():
        if name in comments.macros:
            what = "MACRO TABLE" if kind == "table_macro" else "MACRO"
            yield f"COMMENT ON {what} {identifier(name)} IS {quoted(comments.macros[name])}"


def _columns(con: duckdb.DuckDBPyConnection) -> Columns:
    """All that a reader looks at: neither DuckDB's own nor the rows kept behind views."""
    return con.execute(
        "SELECT c.schema_name, table_name, if(v.view_name IS NULL, 'TABLE', 'VIEW'), column_name "
        "FROM duckdb_columns() AS c LEFT JOIN duckdb_views() AS v ON c.table_name = v.view_name "
        "AND c.schema_name = v.schema_name AND NOT v.internal WHERE NOT c.internal "
        "AND c.schema_name <> 'stored' ORDER BY ALL"
    ).fetchall()
