"""Where an agent's questions are answered: the lake as it is now, through the locked door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from layerhouse.mcp.telling import LETTERS, records, table
from warehouse.catalogue import Warehouse, connect, forget_damaged
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake

QUERIES = Path(__file__).parent / "queries"

WHOLE = 1_000
"""More rows than there are tables, or columns of one."""


@dataclass(frozen=True)
class Limits:
    """What one answer may take: a query so many seconds and so much memory ("4GB", None for
    DuckDB's own bound), and what is given so many rows and letters."""

    timeout: float = 30
    memory: str | None = None
    rows: int = 200
    letters: int = 60_000


class Desk:
    """Answers on one lake; each question opens it anew, so that it sees what was committed since,
    and two at once do not share a connection."""

    def __init__(self, lake: Lake, limits: Limits) -> None:
        self.lake, self.limits = lake, limits

    def opened(self) -> Warehouse:
        """The lake, read-only, its catalogue brought up to date."""
        return connect(self.lake, timeout=self.limits.timeout, memory=self.limits.memory)

    def refused(self, fault: duckdb.Error) -> LayerhouseError:
        """What to tell where a query failed when it was read, as at a failed cast."""
        return forget_damaged(self.lake, fault) or LayerhouseError(str(fault).strip())

    def table(self, wh: Warehouse, query: str) -> dict[str, Any]:
        """What a query of the agent's gives."""
        return table(wh.sql(query), self.limits.rows, self.limits.letters)

    def records(
        self, wh: Warehouse, name: str, params: Sequence[Any] = (), *, whole: bool = False
    ) -> dict[str, Any]:
        """What `queries/<name>.sql` gives, row by row; the `whole` of what is never much."""
        limits = Limits(rows=WHOLE, letters=WHOLE * LETTERS) if whole else self.limits
        return records(wh.sql(_query(name), list(params)), limits.rows, limits.letters)


@cache
def _query(name: str) -> str:
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
