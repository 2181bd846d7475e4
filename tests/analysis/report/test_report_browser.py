"""The report in a real Chromium: it fits, is quiet, asks nobody, and its SQL can be copied."""

from __future__ import annotations

import shutil

import pytest

from warehouse.catalogue.refreshing import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium to open the report with: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to drive it with")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, figure_report):
    """Call it with options of a page; gives the opened page, what it said and what it asked for."""
    contexts = []

    def opened(width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(figure_report.as_uri())
        return page, said, asked

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_and_asks_nobody(visit, figure_report, width, scheme):
    page, said, asked = visit(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [figure_report.as_uri()]
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure')].map(figure =>"
        " [...figure.querySelectorAll('svg')].filter(svg => svg.clientWidth > 0).length)"
    )
    assert sum(drawn) == 2 + 4 * 2 + 6
    assert set(drawn) <= {0, 1}


def test_dark_is_dark_and_the_ink_can_be_read_on_it(visit):
    colours = (
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    shades = {}
    for scheme in ("light", "dark"):
        page, _, _ = visit(scheme=scheme)
        shades[scheme] = [brightness(colour) for colour in page.evaluate(colours)]
    assert shades["light"][0] > 200 > 80 > shades["light"][1]
    assert shades["dark"][0] < 60 < 180 < shades["dark"][1]


def brightness(colour):
    return sum(int(part) for part in colour.strip("rgb()").split(",")[:3]) / 3


@pytest.mark.parametrize("clipboard", ["as it is", "missing"])
def test_a_figure_s_sql_can_be_copied_from_a_file_and_run(visit, figure_lake, clipboard):
    page, said, _ = visit()
    if clipboard == "missing":
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    block = page.locator("figure details.sql").first
    block.locator("summary").click()
    button = block.locator("button.copy")
    button.click()
    page.wait_for_function("button => button.textContent == 'Copied'", arg=button.element_handle())
    page.evaluate("document.body.prepend(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    pasted = page.locator("textarea").input_value()
    assert pasted == block.locator("code").text_content()
    with connect(figure_lake) as wh:
        assert wh.sql(pasted).fetchall()
    assert said == []


@pytest.mark.slow
def test_a_print_holds_every_figure_on_light_paper(visit):
    page, said, _ = visit(scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert brightness(paper) == 255
    assert page.locator("details.sql:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert said == []


@pytest.mark.slow
def test_the_self_test_says_how_far_to_trust_and_from_which_severity_on(visit):
    page, _, _ = visit(400)
    section = page.locator("section[aria-labelledby$=selftest]")
    tables = [
        [
            [cell.text_content().strip() for cell in row.locator("th, td").all()]
            for row in table.locator("tbody tr").all()
        ]
        for table in section.locator("table").all()
    ]
    summary, detection, pairs, destroying, shifting = tables
    assert summary[:2] == [
        ["Costly faults named rightly", "16", "100%", "75%"],
        ["False alarms without a fault", "3", "0%", "0%"],
    ]
    assert detection[0] == ["swap", "vision", "0.05 to 0.8", "0.05", "4.5"]
    assert pairs == [["vision + llm", "10 points and more", "1", "1", "60.0"]]
    assert len(destroying) == 4 * 3
    assert [row[:4] for row in shifting] == [["noise", "vision", "2", "1"]]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
