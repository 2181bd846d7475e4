"""What a person asks of `layerhouse figures`, refused where there is no such thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.report.paper.choices import (
    FIGURE_FORMS,
    FIGURE_WIDTHS,
    FIGURES,
    PRINTED_TABLES,
    TABLE_MARKUPS,
)
from warehouse.errors import UsageError, nearest


@dataclass(frozen=True)
class Wish:
    """What is to be written: forms of pictures, the tables' markup (None for no tables), the width
    of a column, and the names of figures and tables (all by default). Raises UsageError for what
    there is not."""

    forms: Sequence[str] = ("pdf",)
    table: str | None = None
    width: str = "single"
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        for what, given, words in (
            ("format", self.forms, FIGURE_FORMS),
            ("table", [self.table] if self.table else [], TABLE_MARKUPS),
            ("width", [self.width], FIGURE_WIDTHS),
            ("figure", self.only, (*FIGURES, *PRINTED_TABLES)),
        ):
            for word in given:
                if word not in words:
                    raise UsageError(f"unknown {what} {word!r}{nearest(word, words)}")
        if self.table is None and self.only and set(self.only) <= {"leaderboard", "baselines"}:
            raise UsageError(f"{self.only[0]} is a table; add --table latex, markdown or csv")

    def has(self, name: str) -> bool:
        return not self.only or name in self.only
