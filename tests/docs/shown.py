"""Tables that a page shows, held against what is found today."""

from __future__ import annotations

import io
import math

from layerhouse.printing import tables as printing
from warehouse.catalogue.reading import Warehouse

# Another processor adds floats in another order: a few samples may fall on the other side.
RELATIVE, ABSOLUTE = 0.08, 0.03


def answered(wh: Warehouse, query: str) -> str:
    """A query's rows as the Markdown table that `layerhouse sql --format markdown` prints."""
    text = io.StringIO()
    printing.write_relation(wh.sql(query), "markdown", text, None)
    return text.getvalue().strip()


def cells(table: str) -> list[list[str]]:
    """The rows of a Markdown table, the header first."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def differing(shown: list[list[str]], found: list[list[str]]) -> list[tuple[str, str]]:
    """The cells that are not the same; tables of other shapes are an error."""
    return [
        (one, other)
        for left, right in zip(shown, found, strict=True)
        for one, other in zip(left, right, strict=True)
        if not _same(one, other)
    ]


def _same(shown: str, found: str) -> bool:
    try:
        return math.isclose(float(shown), float(found), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return shown == found
