"""What CONTRIBUTING says the checks are is what they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## ")[0]
RUNS, _, LEFT_OUT = OPENING.partition("leaves out")


def _made(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z-]+)", text))


def test_ci_runs_what_the_page_says_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert _made(script) == _made(RUNS)


def test_every_check_runs_or_is_named_as_left_out() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    kinds = ("test", "verify", "self-test", "bi-", "soak", "lint", "types", "site", "tutorials")
    checks = {name for name in targets if name.startswith(kinds)}
    assert _made(LEFT_OUT) <= targets
    assert _made(RUNS) | _made(LEFT_OUT) == checks
    assert _made(RUNS).isdisjoint(_made(LEFT_OUT))
