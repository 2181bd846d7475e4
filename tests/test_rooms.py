"""The building: every room says what it is for and opens by its door; nothing grows too large."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("layerhouse", "extract", "warehouse", "analysis")
LONGEST_FILE = 350
LONGEST_FUNCTION = 50
MOST_PARAMETERS = 7
LOOSE = {
    "extract": "plugins",
    "layerhouse": "__main__ answers datasets demo models parts runs shadows shell",
    "warehouse": (
        "devices errors extensions files keyboard progress schema spark variants vocabulary"
    ),
}
"""Modules that stand beside the rooms: the ground floor, the public face, the page for who
extends.
"""


def modules() -> list[Path]:
    return sorted(path for top in PRODUCT for path in (ROOT / top).rglob("*.py"))


def rooms() -> list[Path]:
    return [path.parent for path in modules() if path.name == "__init__.py"]


def name_of(room: Path) -> str:
    return ".".join(room.relative_to(ROOT).parts)


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_a_room_says_in_a_sentence_or_two_what_belongs_in_it(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said
    assert 1 <= said.split("\n\n")[0].count(". ") + 1 <= 2


@pytest.mark.parametrize("room", [r for r in rooms() if (r / "__init__.pyi").exists()], ids=name_of)
def test_every_name_at_a_door_is_there(room: Path) -> None:
    door = importlib.import_module(name_of(room))
    assert door.__all__
    for name in door.__all__:
        assert getattr(door, name) is not None


@pytest.mark.parametrize("top", sorted(LOOSE))
def test_no_module_stands_loose_beside_the_rooms(top: str) -> None:
    loose = {path.stem for path in (ROOT / top).glob("*.py")} - {"__init__"}
    assert loose == set(LOOSE[top].split())


def test_no_file_is_too_long() -> None:
    long = {p: n for p in modules() if (n := len(p.read_text("utf-8").splitlines())) > LONGEST_FILE}
    assert not long


def test_no_function_is_too_long_or_takes_too_much() -> None:
    assert not [
        found for path in modules() for found in too_large(path.read_text("utf-8"), str(path))
    ]


def test_a_function_that_is_too_large_is_found() -> None:
    long = "def f():\n" + "    pass\n" * LONGEST_FUNCTION
    wide = f"def g({', '.join(f'p{i}' for i in range(MOST_PARAMETERS + 1))}): pass\n"
    method = (
        f"class C:\n    def h(self, {', '.join(f'p{i}' for i in range(MOST_PARAMETERS))}): pass\n"
    )
    assert list(too_large(long + wide + method, "m")) == ["m: f is 51 lines long", "m: g takes 8"]


def too_large(source: str, name: str) -> Iterator[str]:
    """The functions of a module that are too long or take too many parameters; commands aside."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{name}: {node.name} is {length} lines long"
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        n = len([argument for argument in given if argument.arg not in ("self", "cls")])
        if n > MOST_PARAMETERS and not any(
            "click" in ast.unparse(d) or "option" in ast.unparse(d) for d in node.decorator_list
        ):
            yield f"{name}: {node.name} takes {n}"
