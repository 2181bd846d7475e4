"""Rows as JSON that an agent can read: bounded, without orders to a screen, numbers as they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from warehouse.catalogue import Rows
from warehouse.errors import ORDERS, LayerhouseError, plain
from warehouse.schema import identifier

LETTERS = 2_000
"""Of one text."""
ENTRIES = 64
"""Of one list: enough for a score of every class; a vector is not read number by number."""
EXACT = 2**53
"""Above it a reader of JSON may take one whole number for another."""

UNSEEN = re.compile(
    f"{ORDERS.pattern}|[\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Orders to a terminal, letters that a person does not see and a model reads, halves of letters."""

NUMERIC = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"),
    }
)


def visible(text: str) -> str:
    """The text with everything written out that a person would not see."""
    return plain(text, UNSEEN)


class Telling:
    """Makes values that JSON holds, and keeps the names of what it had to cut."""

    def __init__(self) -> None:
        self.cut: dict[str, None] = {}

    def told(self, name: str, value: Any) -> Any:
        """NaN and infinities, which JSON has none of, become texts: NULL means something else."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= EXACT else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Decimal):
            return float(value) if Decimal(repr(float(value))) == value else str(value)
        if isinstance(value, list | tuple):
            if len(value) > ENTRIES:
                self.cut[name] = None
            return [self.told(name, entry) for entry in value[:ENTRIES]]
        if isinstance(value, Mapping):
            return {visible(str(key)): self.told(name, entry) for key, entry in value.items()}
        text = visible(str(value))
        if len(text) > LETTERS:
            self.cut[name] = None
        return text[:LETTERS]


def table(rows: Rows, most: int, letters: int) -> dict[str, Any]:
    """At most so many rows, as one object: `columns`, `rows` in their order, and where something
    was left out `more` and `cut`. Raises LayerhouseError where one row is longer than `letters`.
    """
    telling, names = Telling(), [visible(name) for name in rows.columns]
    found: list[list[Any]] = []
    left, has_more = letters, False
    for row in _bounded(rows.limit(most + 1)).iter_rows():
        told = [telling.told(name, value) for name, value in zip(names, row, strict=True)]
        left -= len(json.dumps(told, ensure_ascii=False))
        if left < 0 and not found:
            raise LayerhouseError(
                f"one row of this is longer than {letters:,} letters; name fewer of its "
                f"{len(names):,} columns"
            )
        if left < 0 or len(found) == most:
            has_more = True
            break
        found.append(told)
    answer: dict[str, Any] = {"columns": names, "rows": found}
    if has_more:
        answer["more"] = (
            f"these are the first {len(found):,} rows and there are more; aggregate, filter, or "
            "go on with ORDER BY and OFFSET"
        )
    if telling.cut:
        answer["cut"] = (
            f"lists end after {ENTRIES} entries and texts after {LETTERS:,} letters in "
            f"{', '.join(telling.cut)}; take parts of them, or aggregate, in SQL"
        )
    return answer


def records(rows: Rows, most: int, letters: int) -> dict[str, Any]:
    """The same, every row as an object of its own."""
    answer = table(rows, most, letters)
    names = answer.pop("columns")
    return answer | {"rows": [dict(zip(names, row, strict=True)) for row in answer["rows"]]}


def _bounded(rows: Rows) -> Rows:
    """The same rows with no value much longer than what is told of it, so that a text of a
    gigabyte stays in DuckDB, which has a bound."""
    told = [
        f"{_part(f'#{place}', str(kind))} AS {identifier(name)}"
        for place, (name, kind) in enumerate(zip(rows.columns, rows.types, strict=True), 1)
    ]
    return rows.project(", ".join(told))  # by place: two columns may have one name


def _part(value: str, kind: str) -> str:
    if kind in NUMERIC or kind.startswith("DECIMAL"):
        return value
    if kind.endswith("]") and "TIME ZONE" not in kind:  # as Python's they would need pytz
        return f"{value}[:{ENTRIES + 1}]"
    return f"left(CAST({value} AS VARCHAR), {LETTERS + 1})"
