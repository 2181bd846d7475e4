"""Every query of the cookbook runs, and the page shows what it returns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerhouse.demo import FAULTS
from tests.conftest import SHORT_FAULTS, Demo
from tests.docs.cookbook import COOKBOOK, Recipe, cookbook_lake, recipes
from tests.docs.shown import answered, cells, differing
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect


@pytest.fixture(scope="module")
def wh(whole_demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with connect(cookbook_lake(whole_demo.lake, tmp_path_factory.mktemp("cookbook"))) as wh:
        yield wh


LEFT_OUT = [fault for fault in FAULTS if fault and fault not in SHORT_FAULTS]


@pytest.mark.slow
def test_every_recipe_returns_its_columns(demo: Demo, tmp_path: Path) -> None:
    lacking = []
    with connect(cookbook_lake(demo.lake, tmp_path)) as wh:
        for recipe in recipes():
            shown, found = cells(recipe.result), cells(answered(wh, recipe.query))
            assert found[0] == shown[0], recipe.title
            if len(found) < 3 and not any(fault in recipe.query for fault in LEFT_OUT):
                lacking.append(recipe.title)
    assert lacking == []


@pytest.mark.slow
@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.title)
def test_the_page_shows_what_the_query_returns(wh: Warehouse, recipe: Recipe) -> None:
    shown, found = cells(recipe.result), cells(answered(wh, recipe.query))
    assert len(found) > 2, "a recipe without rows shows nothing"
    assert found[0] == shown[0]
    assert differing(shown, found) == []


def test_the_cookbook_answers_many_questions() -> None:
    page = COOKBOOK.read_text(encoding="utf-8")
    assert len(recipes()) == page.count("```sql") >= 25
    numbers = [int(number) for number in re.findall(r"^### (\d+)\.", page, re.MULTILINE)]
    assert numbers == list(range(1, len(recipes()) + 1))


def test_the_cookbook_uses_every_macro_it_names() -> None:
    queries = "\n".join(recipe.query for recipe in recipes())
    for macro in ("activations", "centroids", "nearest", "l2_norm", "cosine", "attribute"):
        assert f"{macro}(" in queries
