"""Every query of the cookbook runs, and the page shows what it returns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest

from tests.conftest import Demo
from tests.docs.cookbook import COOKBOOK, Recipe, answered, cookbook_lake, recipes
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect

# Another processor adds floats in another order: a few samples may fall on the other side.
RELATIVE, ABSOLUTE = 0.08, 0.03


@pytest.fixture(scope="module")
def wh(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with connect(cookbook_lake(demo.lake, tmp_path_factory.mktemp("cookbook"))) as wh:
        yield wh


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def _same(shown: str, found: str) -> bool:
    try:
        return math.isclose(float(shown), float(found), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return shown == found


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.title)
def test_the_page_shows_what_the_query_returns(wh: Warehouse, recipe: Recipe) -> None:
    shown, found = _cells(recipe.result), _cells(answered(wh, recipe))
    assert len(found) > 2, "a recipe without rows shows nothing"
    assert found[0] == shown[0]
    assert len(found) == len(shown)
    differing = [
        (one, other)
        for left, right in zip(shown, found, strict=True)
        for one, other in zip(left, right, strict=True)
        if not _same(one, other)
    ]
    assert differing == []


def test_the_cookbook_answers_many_questions() -> None:
    page = COOKBOOK.read_text(encoding="utf-8")
    assert len(recipes()) == page.count("```sql") >= 25
    numbers = [int(number) for number in re.findall(r"^### (\d+)\.", page, re.MULTILINE)]
    assert numbers == list(range(1, len(recipes()) + 1))


def test_the_cookbook_uses_every_macro_it_names() -> None:
    queries = "\n".join(recipe.query for recipe in recipes())
    for macro in ("activations", "centroids", "nearest", "l2_norm", "cosine", "attribute"):
        assert f"{macro}(" in queries
