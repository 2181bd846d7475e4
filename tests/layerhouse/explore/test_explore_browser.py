"""The explorer in a real Chromium: it fits, is quiet, asks nobody, and keeps nobody out."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.conftest import Demo
from tests.layerhouse.explore.visitor import exploring

PAIR = {"model": "tiny-digits+fault:swap@connector:0.5", "dataset": "digits"}
BESIDE = {**PAIR, "with": "tiny-digits"}
PAGES = {
    "grid": "",
    "model": f"model?{urlencode(PAIR)}",
    "samples": f"samples?{urlencode({**BESIDE, 'outcome': 'lost'})}",
    "sample": f"sample?{urlencode({**BESIDE, 'sample': 'digits/0010'})}",
    "error": "model?model=none",
    "projection": f"projection?{urlencode(PAIR)}",
}
QUICK = ("grid", "model", "sample")
"""Those that are looked at in one width and scheme by `make test`; all in all by the slow tests."""
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""What axe-core calls the levels A and AA."""


@pytest.fixture(scope="module")
def address(demo: Demo) -> Iterator[str]:
    """Of the explorer over the demo's lake, started as a person starts it."""
    with exploring("--no-browser", cwd=demo.lake.root.parent) as (address, _):
        yield address


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (400, "dark"),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(400, "light", marks=pytest.mark.slow),
    ],
)
def test_every_page_fits_asks_nobody_and_keeps_nobody_out(visit, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core").Axe()
    page, said, asked = visit(width, scheme)
    for name, path in PAGES.items():
        if (width, scheme) == (400, "dark") and name not in QUICK:
            continue
        page.goto(f"{address}{path}")
        for folded in page.locator("details").all():
            folded.evaluate("details => { details.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = axe.run(page, options={"runOnly": LEVELS, "resultTypes": ["violations"]}).response
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], name
    # The browser itself notes that the last page is an error's.
    assert [text for text in said if "404" not in text] == []
    assert {url for url in asked if not url.startswith(("data:", address))} == set()


@pytest.mark.slow
def test_dark_is_dark(visit, address):
    page, _, _ = visit(scheme="dark")
    page.goto(address)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in colour.strip("rgb()").split(",")[:3]) < 60


@pytest.mark.slow
def test_the_keyboard_alone_reaches_everything(visit, address):
    """From the first page to a model, through its curve's points, and to a sample's neighbours."""
    page, said, _ = visit()
    page.goto(address)
    reached = tabbed(page)
    assert reached == page.evaluate(f"{FOCUSABLE}.length"), "Tab passes something by"
    page.locator("a.cell", has_text="connector fidelity").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/model?*")
    plot = page.locator(".plot").first
    plot.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("figure .said").first.text_content()
    page.keyboard.press("ArrowRight")
    second = page.locator("figure .said").first.text_content()
    assert "%" in first
    assert first != second
    assert page.locator(".plot .ring").count() == 1
    page.goto(f"{address}{PAGES['sample']}")
    page.locator("select[name=place]").focus()
    page.keyboard.press("v")  # the first place whose name begins so
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**place=vision.*")
    assert page.locator("select[name=place]").input_value().startswith("vision.")
    assert said == []


FOCUSABLE = "document.querySelectorAll('a[href], summary, [tabindex=\"0\"]:not(details *)')"
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


def tabbed(page) -> int:
    """How many elements Tab comes to before it leaves the page, each with an outline to see."""
    n_reached = 0
    while True:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return n_reached
        n_reached += 1
        assert page.evaluate(OUTLINE) != "none", page.evaluate("document.activeElement.outerHTML")


@pytest.mark.slow
def test_the_mouse_finds_the_nearest_point(visit, address):
    page, _, _ = visit()
    page.goto(f"{address}{PAGES['model']}")
    point = page.locator(".plot svg.wide .point").nth(4)
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = page.locator("figure .said").first
    assert said.text_content() == point.locator("title").text_content()


@pytest.mark.slow
def test_a_point_of_a_projection_leads_to_its_sample(visit, address):
    page, said, _ = visit()
    page.goto(f"{address}{PAGES['projection']}")
    page.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    sample = page.locator("figure .said").text_content().split(":")[0]
    page.keyboard.press("Enter")
    page.wait_for_url("**/sample?*")
    assert page.locator("h1").text_content() == sample
    assert said == []


@pytest.mark.slow
def test_the_sql_of_a_page_can_be_copied(visit, address):
    page, _, _ = visit()
    page.goto(address)
    page.locator("details.asked summary").click()
    button = page.locator("button.copy").first
    button.click()
    page.wait_for_function(
        "button => button.textContent != 'Copy grid'", arg=button.element_handle()
    )
    page.evaluate("document.body.prepend(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    pasted = page.locator("textarea").input_value()
    assert pasted == page.locator(".sql code").first.text_content()
    assert "FROM mart_leaderboard" in pasted
