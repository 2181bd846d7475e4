"""What is checked: one SQL file per rule in sql/checks, plus what keys and references imply.

A check is a SELECT of the rows that break its rule. The head comment of a file says the rule; a
line `-- level: warning` makes it a warning; a line `-- tables: a, b` makes one file a check of
several tables, whose rows then say by `table_name` which of them they accuse. Otherwise the
file's folder is the table.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from warehouse.schema import SQL_ROOT, table_key, table_schema, tables

CHECKS = SQL_ROOT / "checks"
PREPARED = "prepare"

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Check:
    """A rule about one table or mart; `sql` selects the rows that break it."""

    table: str
    name: str
    rule: str
    sql: str
    level: Level = "error"


@cache
def all_checks() -> list[Check]:
    """Every check, tables first and marts last, files before what keys and references imply."""
    written = list(_written())
    named = {(check.table, check.name) for check in written}
    drawn = (*_keys(), *_references(), *_shares(), *_flat())
    implied = [check for check in drawn if (check.table, check.name) not in named]
    order = [*tables(), "shard", "unbuilt_view", *_relations()["keys"]]
    return sorted([*written, *implied], key=lambda check: order.index(check.table))


def prepared() -> dict[str, str]:
    """Tables that are made once, because several checks ask them: name → SELECT, in this order."""
    return {path.stem: path.read_text(encoding="utf-8") for path in _files(CHECKS / PREPARED)}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


@cache
def _relations() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((CHECKS / "relations.toml").read_text(encoding="utf-8"))


def _written() -> Iterator[Check]:
    for folder in sorted(path for path in CHECKS.iterdir() if path.is_dir()):
        if folder.name == PREPARED:
            continue
        for path in _files(folder):
            yield from _parsed(path)


def _parsed(path: Path) -> Iterator[Check]:
    """The checks of one file, one per table that it names."""
    text = path.read_text(encoding="utf-8")
    head = re.match(r"(?:--.*\n)+", text)
    lines = [line.removeprefix("--").strip() for line in (head[0] if head else "").splitlines()]
    marks = dict(line.split(": ", 1) for line in lines if line.startswith(("level: ", "tables: ")))
    rule = " ".join(line for line in lines if not line.startswith(("level: ", "tables: ")))
    level: Level = "warning" if marks.get("level") == "warning" else "error"
    if "tables" not in marks:
        yield Check(path.parent.name, path.stem, rule, text, level)
        return
    for table in marks["tables"].split(", "):
        own = f"SELECT * EXCLUDE (table_name)\nFROM (\n{text})\nWHERE table_name = '{table}'"
        yield Check(table, path.stem, rule, own, level)


def _keys() -> Iterator[Check]:
    keys = {table: list(table_key(table)) for table in tables()} | _relations()["keys"]
    for table, key in keys.items():
        columns = _listed(key)
        yield Check(
            table,
            "key_unique",
            f"No two rows share {_words(key)}.",
            f'SELECT {columns}, count(*) AS n_rows\nFROM "{table}"\n'
            f"GROUP BY {columns}\nHAVING count(*) > 1",
        )


def _references() -> Iterator[Check]:
    declared = _relations()["references"]
    for table in dict.fromkeys([*tables(), *declared]):
        wanted = list(declared.get(table, []))
        if table in tables() and table != "run" and "run_id" in table_schema(table).names:
            wanted.append("run(run_id)")
        for reference in wanted:
            yield _reference(table, reference)


def _reference(table: str, reference: str) -> Check:
    match = re.fullmatch(r"(\w+)\((\w+(?:, \w+)*)\)", reference)
    if match is None:
        raise ValueError(f"relations.toml: {reference!r} is not of the form other(column, column)")
    parent, own = match[1], match[2].split(", ")
    pairs = list(zip(own, table_key(parent), strict=True))
    columns = _listed(own)
    matching = " AND ".join(f'child."{a}" = parent."{b}"' for a, b in pairs)
    present = " AND ".join(f'child."{a}" IS NOT NULL' for a in own)
    return Check(
        table,
        f"{own[-1]}_known",
        f"The {_words(own)} of every row {'is' if len(own) == 1 else 'are'} in {parent}.",
        f'SELECT {columns}, count(*) AS n_rows\nFROM "{table}" AS child\n'
        f'ANTI JOIN "{parent}" AS parent ON {matching}\n'
        f"WHERE {present}\nGROUP BY {columns}",
    )


def _shares() -> Iterator[Check]:
    for table, columns in _relations()["shares"].items():
        outside = " OR ".join(f'"{column}" NOT BETWEEN 0 AND 1' for column in columns)
        yield Check(
            table,
            "shares_in_range",
            f"The columns {_words(columns)} hold fractions between 0 and 1.",
            f"SELECT {_listed(_relations()['keys'][table])}, {_listed(columns)}\n"
            f'FROM "{table}"\nWHERE {outside}',
        )


def _flat() -> Iterator[Check]:
    for table in _relations()["keys"]:
        yield Check(
            table,
            "columns_flat",
            "No column holds arrays, structures or maps, which BI tools cannot show.",
            "SELECT table_name, column_name, data_type\nFROM duckdb_columns()\n"
            f"WHERE table_name = '{table}' AND regexp_matches(data_type, '[\\[(]')",
        )


def _listed(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _words(columns: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(columns[:-1]), columns[-1]]))
