"""A query that lies in a file, its rows, and the same query as a person can paste it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.queries import read_query
from warehouse.catalogue import Catalogue
from warehouse.schema import quoted

Row = dict[str, Any]
Parameter = str | int | list[str]


@dataclass(frozen=True)
class Table:
    """The rows of one query, and the query as a reader can paste it into `layerhouse sql`."""

    rows: list[Row]
    sql: str

    @property
    def first(self) -> Row | None:
        return self.rows[0] if self.rows else None


def ask(wh: Catalogue, folder: Path, name: str, **parameters: Parameter) -> Table:
    """The rows of `<name>.sql` in a folder."""
    query = read_query(folder, name)
    rows = wh.sql(query, parameters or None).to_dicts()
    return Table(rows, with_literals(query, parameters))


def with_literals(query: str, parameters: Mapping[str, Parameter]) -> str:
    """The query with its parameters written out, comments left away."""
    lines = [line for line in query.splitlines() if not line.lstrip().startswith("--")]
    # In one pass, since a name from the lake may look like a parameter itself.
    return re.sub(r"\$([a-z]+)", lambda match: _literal(parameters[match[1]]), "\n".join(lines))


def _literal(value: Parameter) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value) if isinstance(value, int) else quoted(value)
