"""The data dictionary and entity diagram, read off a catalogue (`python -m tests.docs.dictionary`).

Both are written into docs/data-dictionary.md by `make docs`; a test holds page and catalogue equal.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from warehouse.catalogue.building import create_all
from warehouse.catalogue.definitions import Definitions
from warehouse.schema import BOOKKEEPING, SQL_ROOT, apply, migrations, table_key, tables

PAGE = SQL_ROOT.parent / "docs" / "data-dictionary.md"

HEAD = """\
# Data dictionary

Every table, view, mart and macro of the catalogue, as `layerhouse sql "DESCRIBE …"` and comments
there have them. This page is generated: edit `sql/`, then run `make docs`. What is struck through
is deprecated and goes with the next version.

## How the tables hang together

A line leads from a table to one whose key it names; every table but the catalogue's own also names
its `run`. Columns shown are those of the keys.
"""

DEPRECATED = "Deprecated"
"""How the comment of a column begins that is kept for one more version."""

SECTIONS = {
    "Tables": "What agents write. In bold the key.",
    "Views": "What follows from the tables; scores and losses are defined here and nowhere else.",
    "Marts": "Wide, flat tables for dashboards; `layerhouse publish` copies them out.",
    "The catalogue's own": "What the catalogue knows about itself.",
}

RELATIONS = """
SELECT c.table_name, any_value(coalesce(t.comment, v.comment)), any_value(v.view_name IS NOT NULL)
FROM duckdb_columns() AS c
LEFT JOIN duckdb_tables() AS t
    ON c.schema_name = t.schema_name AND c.table_name = t.table_name
LEFT JOIN duckdb_views() AS v ON c.table_name = v.view_name AND NOT v.internal
WHERE NOT c.internal AND c.schema_name = 'main'
GROUP BY c.table_name
ORDER BY c.table_name
"""

COLUMNS = """
SELECT column_name, data_type, comment
FROM duckdb_columns()
WHERE schema_name = 'main' AND table_name = $1
ORDER BY column_index
"""

MACROS = """
SELECT function_name, any_value(parameters), any_value(comment)
FROM duckdb_functions()
WHERE NOT internal
GROUP BY function_name
ORDER BY function_name
"""


def dictionary() -> str:
    """The page for the migrations, views and comments of this Layerhouse, as Markdown."""
    with duckdb.connect() as con:
        apply(con, migrations())
        create_all(con, Definitions())
        parts = [HEAD, _diagram(), *_sections(con), _macros(con)]
    return "\n".join(parts)


def _diagram() -> str:
    """Tables and their references as a Mermaid entity diagram."""
    shown = [table for table in tables() if table != "run"]
    lines = ["```mermaid", "erDiagram"]
    for table in shown:
        lines.append(f"    {table} {{")
        lines += [f"        key {column}" for column in table_key(table)]
        lines.append("    }")
    for table, parent, columns in references():
        if table in shown:
            lines.append(f'    {parent} ||--o{{ {table} : "{", ".join(columns)}"')
    return "\n".join([*lines, "```", ""])


def references() -> Iterator[tuple[str, str, list[str]]]:
    """(table, the table whose key it names, by which columns), as sql/checks states them."""
    stated = tomllib.loads((SQL_ROOT / "checks" / "relations.toml").read_text(encoding="utf-8"))
    for table, wanted in (*stated["references"].items(), *stated["facts"].items()):
        for reference in wanted:
            parent, _, columns = reference.rstrip(")").partition("(")
            yield table, parent, columns.split(", ")


def _sections(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
    for name, comment, is_view in con.execute(RELATIONS).fetchall():
        groups[_section(name, is_view=is_view)].append((name, comment))
    for section, found in groups.items():
        yield f"## {section}\n\n{SECTIONS[section]}\n"
        for name, comment in found:
            yield _relation(con, name, comment)


def _section(name: str, *, is_view: bool) -> str:
    if name in BOOKKEEPING:
        return "The catalogue's own"
    if name.startswith("mart_"):
        return "Marts"
    return "Views" if is_view and name not in tables() else "Tables"


def _relation(con: duckdb.DuckDBPyConnection, name: str, comment: str) -> str:
    key = table_key(name) if name in tables() else ()
    lines = [f"### {name}\n", f"{comment}.\n", "| column | type | meaning |", "| --- | --- | --- |"]
    for column, kind, meaning in con.execute(COLUMNS, [name]).fetchall():
        shown = f"**{column}**" if column in key else column
        if meaning.startswith(DEPRECATED):
            shown = f"~~{shown}~~"
        lines.append(f"| {shown} | {kind} | {meaning} |")
    return "\n".join([*lines, ""])


def _macros(con: duckdb.DuckDBPyConnection) -> str:
    lines = ["## Macros\n", "| macro | what it gives |", "| --- | --- |"]
    for name, parameters, comment in con.execute(MACROS).fetchall():
        given = ", ".join(re.sub("^in_", "", parameter) for parameter in parameters)
        lines.append(f"| `{name}({given})` | {comment} |")
    return "\n".join([*lines, ""])


def main(page: Path = PAGE) -> None:
    page.write_text(dictionary(), encoding="utf-8")
    sys.stdout.write(f"{page.name}\n")


if __name__ == "__main__":
    main()
