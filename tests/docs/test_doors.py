"""Every situation of the page has a source and a test that exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doors.md").read_text(encoding="utf-8")
DOORS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


def _rows(door: str) -> list[list[str]]:
    lines = [line for line in door.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_test_of_the_page_exists() -> None:
    for _, _, _, held in (row for door in DOORS for row in _rows(door)):
        path, _, name = held.strip("`").partition("::")
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in text, held


def test_every_door_has_ten_situations_with_a_source() -> None:
    assert len(DOORS) == 10
    for door in DOORS:
        rows = _rows(door)
        assert len(rows) >= 10, door.splitlines()[0]
        assert max(Counter(situation for situation, *_ in rows).values()) == 1
        for _, source, *_ in rows:
            assert all(re.fullmatch(r"([\w.-]+/[\w.-]+)?#\d+", one) for one in source.split(", "))
