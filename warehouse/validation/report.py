"""What validation found, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = 5
SHOWN = 100
"""Rows that break a rule which are kept for Data Docs."""


@dataclass(frozen=True)
class CheckResult:
    """One check of one table.

    `unexpected` counts the rows that break `rule`, `rows` holds up to SHOWN of them and `examples`
    up to five; `problem` says why a check could not be made, in which case it did not pass.
    `level` is "error" or "warning".
    """

    name: str
    table: str
    rule: str
    level: str
    passed: bool
    unexpected: int
    rows: list[dict[str, Any]]
    problem: str | None = None

    @property
    def examples(self) -> list[dict[str, Any]]:
        return self.rows[:EXAMPLES]

    @property
    def detail(self) -> str:
        """One line on what was found; empty where nothing was."""
        if self.problem is not None:
            return f"could not be checked: {self.problem}"
        if self.passed:
            return ""
        rows = "row" if self.unexpected == 1 else "rows"
        first = ", ".join(f"{name}={value}" for name, value in self.examples[0].items())
        return f"{self.unexpected:,} unexpected {rows}, for instance {first}"


@dataclass(frozen=True)
class ValidationReport:
    """The results of every check, in the order of the tables; `passed` ignores warnings."""

    checks: list[CheckResult]
    seconds: float
    data_docs: Path | None = None

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.passed and check.level == "error"]

    @property
    def warnings(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.passed and check.level == "warning"]
