"""Every view is held to rows worked out by hand."""

from importlib import import_module
from pathlib import Path

from warehouse.catalogue.definitions import Definitions


def held() -> set[str]:
    """Views that tests are marked with; the mark fails a test that compared none of their rows."""
    modules = [
        import_module(f"tests.sql.{path.stem}") for path in Path(__file__).parent.glob("test_*.py")
    ]
    return {
        view
        for module in modules
        for function in vars(module).values()
        for mark in getattr(function, "pytestmark", [])
        if mark.name == "exact_rows"
        for view in mark.args
    }


def test_every_view_has_a_test_of_its_exact_rows():
    assert held() == set(Definitions().views)
