"""What the front page shows is what a person gets: its queries, its tables, its commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerhouse.cli import COMMANDS
from tests.conftest import SHORT_FAULTS, Demo
from tests.docs.shown import answered, cells, differing
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUESTION = re.compile(
    r"^\*\*(?P<title>.+)\*\*\n```sql\n(?P<query>(?:.*\n)*?)```\n(?P<table>(?:\|.*\n)+)",
    re.MULTILINE,
)
QUESTIONS = list(QUESTION.finditer(README))


@pytest.fixture(scope="module")
def wh(whole_demo: Demo) -> Iterator[Warehouse]:
    with connect(whole_demo.lake) as wh:
        yield wh


def test_every_question_of_the_page_is_answered_with_its_columns(demo: Demo) -> None:
    with connect(demo.lake) as wh:
        for question in QUESTIONS:
            shown, found = cells(question["table"].strip()), cells(answered(wh, question["query"]))
            assert found[0] == shown[0]
            assert len(found) > 2, f"{question['title']} has no answer"


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["title"])
def test_the_page_shows_what_a_question_is_answered_with(
    question: re.Match[str], wh: Warehouse
) -> None:
    shown, found = cells(question["table"].strip()), cells(answered(wh, question["query"]))
    assert len(found) > 2, "a question without an answer shows nothing"
    assert found[0] == shown[0]
    assert differing(shown, found) == []


def test_every_query_of_the_page_is_a_question_with_its_answer() -> None:
    assert len(QUESTIONS) == README.count("```sql") == 5


def _table(text: str) -> list[list[str]]:
    """The rows of the demo's table in a text, numbers and words apart."""
    lines = text[text.index("fault  ") :].splitlines()
    rows = [lines[0], *(line for line in lines[1:7] if not line.startswith("─"))]
    return [re.findall(r"\d+\.\d{3}|[^\s\[\],]+", row) for row in rows]


def test_the_demo_prints_the_columns_of_the_page(demo: Demo) -> None:
    shown, found = _table(README), _table(demo.printed)
    assert found[0] == shown[0]
    assert [row[0] for row in found[1 : 1 + len(SHORT_FAULTS)]] == [
        fault or "none" for fault in SHORT_FAULTS
    ]


@pytest.mark.slow
def test_the_demo_prints_the_table_of_the_page(whole_demo: Demo) -> None:
    shown, found = _table(README), _table(whole_demo.printed)
    assert [row[-1] for row in shown[2:]] == shown[0][2:-1], "each fault is charged to its stage"
    assert differing(shown, found) == []


def test_every_command_and_target_that_the_page_names_exists() -> None:
    commands = set(re.findall(r"`layerhouse\s([a-z]+)", README))
    assert commands >= {"status", "sql", "shell", "validate", "publish"}
    assert commands <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)
    targets = {name for rule in rules for name in rule.split()}
    asked = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert asked >= {"demo", "test", "extract", "bi-superset"}
    assert asked <= targets


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
