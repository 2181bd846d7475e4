"""What the lake itself says, and whether a BI tool shows the same."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

EXPECTED = Path(__file__).parent / "expected"

QUERIES = Path(__file__).parent / "marts"
"""What tools ask the published marts, one statement a file; `EXPECTED` has what the lake says."""

PUBLISHED = "published"
"""The chart that lists the marts of the file, whichever these are."""

MARTS = """
    SELECT table_name AS mart
    FROM duckdb_tables()
    WHERE starts_with(table_name, 'mart_')
"""

STAMP = {"built_at", "layerhouse_version", "commit_set", "definitions", "content"}
"""What a published file says about itself, which no query of the lake can know."""

TOLERANCE = 1e-9
"""Relative: sums may be taken in another order."""


@dataclass(frozen=True)
class Lake:
    """A lake as its command line shows it; `command` is how layerhouse is called."""

    command: str
    folder: str

    def publish(self, out: Path) -> None:
        self._run("publish", "--patients", "--out", str(out))

    def ask(self, name: str) -> list[Row]:
        """The lake's answer to what the chart `name` shows: expected/`name`.sql."""
        if name == PUBLISHED:
            return [row for mart in self._rows(MARTS) for row in self._rows(count(mart["mart"]))]
        return self._rows((EXPECTED / f"{name}.sql").read_text("utf-8"))

    def mart(self, name: str) -> list[Row]:
        return self._rows(f"SELECT * FROM {name}")

    def _rows(self, statement: str) -> list[Row]:
        return json.loads(self._run("sql", "--format", "json", statement))

    def _run(self, *arguments: str) -> str:
        command = [*self.command.split(), *arguments, "--lake", self.folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(done.returncode)  # the command has said why
        return done.stdout


def queries() -> dict[str, str]:
    """The statements on the marts by their names."""
    return {path.stem: path.read_text("utf-8") for path in sorted(QUERIES.glob("*.sql"))}


def count(mart: str) -> str:
    return f"SELECT '{mart}' AS mart, count(*) AS n_rows FROM {mart}"


def compare(name: str, shown: Sequence[Row], expected: Sequence[Row]) -> bool:
    """Print whether a chart shows the rows of the lake; returns whether it does."""
    found = difference(shown, expected)
    print(f"{'differs' if found else 'equal':8}{name:24}{len(shown):6} rows")
    if found:
        print(f"        {found}", file=sys.stderr)
    return found is None


def difference(shown: Sequence[Row], expected: Sequence[Row]) -> str | None:
    """The first difference between two sets of rows, in whatever order; None for equal ones."""
    columns = _columns(shown) - STAMP
    if columns != _columns(expected):
        return f"columns {sorted(columns)} instead of {sorted(_columns(expected))}"
    if not expected:
        return "the lake has no rows for it"
    if len(shown) != len(expected):
        return f"{len(shown)} rows instead of {len(expected)}"
    names = sorted(columns)
    pairs = zip(_ordered(shown, names), _ordered(expected, names), strict=True)
    for row, wanted in pairs:
        for name in names:
            if not _equal(row[name], wanted[name]):
                return f"{name} is {row[name]!r} instead of {wanted[name]!r} in {wanted}"
    return None


def _columns(rows: Sequence[Row]) -> set[str]:
    return set().union(*rows)


def _ordered(rows: Sequence[Row], names: list[str]) -> list[Row]:
    """By the exact columns first: two floats that differ by rounding must not change places."""

    def key(row: Row) -> tuple[list[str], list[float]]:
        values = [_exact(row[name]) for name in names]
        exact = [repr(value) for value in values if not isinstance(value, float)]
        return exact, [value for value in values if isinstance(value, float)]

    return sorted(rows, key=key)


def _exact(value: Any) -> Any:
    """Some tools have no integers: a whole number is one, whatever type it comes as."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _equal(one: Any, other: Any) -> bool:
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)
