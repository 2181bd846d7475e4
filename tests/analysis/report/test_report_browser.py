"""The report in a real Chromium: it fits, is quiet, asks nobody, and its SQL can be copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.catalogue.refreshing import connect

UNFOLD = "document.querySelectorAll('main details:not(.sql)').forEach(part => part.open = true)"
CROSSED = (Path(__file__).parent / "crossed_labels.js").read_text(encoding="utf-8")


@pytest.fixture
def visit(visit, figure_report):
    """Call it with options of a page; gives the open report, what it said and what it asked for."""

    def opened(width=1280, scheme="light", hash="", unfolded=True, **options):
        page, said, asked = visit(width, scheme, **options)
        page.goto(figure_report.as_uri() + hash)
        if unfolded:
            page.evaluate(UNFOLD)
        return page, said, asked

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_and_asks_nobody(visit, figure_report, width, scheme):
    page, said, asked = visit(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [figure_report.as_uri()]
    page.evaluate("window.scrollTo(9999, 0)")
    assert page.evaluate("scrollX") == 0
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
@pytest.mark.parametrize("scripts", [True, False])
def test_a_print_holds_every_figure_on_light_paper(visit, scripts):
    page, said, _ = visit(scheme="dark", unfolded=False, java_script_enabled=scripts)
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert brightness(paper) == 255
    assert page.locator("details.sql:visible, nav:visible").count() == 0
    assert page.locator("figure svg:visible").count() > 10
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert said == []


@pytest.mark.slow
def test_the_self_test_says_how_far_to_trust_and_from_which_severity_on(visit):
    page, _, _ = visit(400)
    section = page.locator("section[aria-labelledby*=trials]")
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


def test_models_are_folded_and_a_link_into_one_opens_it(visit):
    page, said, _ = visit(unfolded=False)
    folded = page.evaluate("document.documentElement.scrollHeight")
    first, second = page.locator("details.page").all()
    assert [is_open(first), is_open(second)] == [False, False]
    page.locator("table.board tbody a").nth(1).click()
    page.wait_for_function("() => document.querySelectorAll('details.page')[1].open")
    assert not is_open(first)
    assert 0 <= second.bounding_box()["y"] < 100
    page.locator("details.page > summary").nth(1).click()
    page.locator("table.board tbody a").nth(1).click()  # the address stays the same
    page.wait_for_function("() => document.querySelectorAll('details.page')[1].open")
    page.get_by_role("button", name="Open all").click()
    assert is_open(first)
    assert page.evaluate("document.documentElement.scrollHeight") > 3 * folded
    page.get_by_role("button", name="Close all").click()
    assert page.evaluate("document.documentElement.scrollHeight") == folded
    assert said == []


@pytest.mark.parametrize(("part", "tag"), [("d0m1-confusion", "figure"), ("d0m0-runs", "details")])
def test_an_address_into_a_closed_page_opens_what_it_names(visit, part, tag):
    page, _, _ = visit(hash=f"#{part}", unfolded=False)
    target = page.locator(f"{tag}#{part}")
    assert target.is_visible()
    assert 0 <= target.bounding_box()["y"] < 900
    assert page.locator("details.page[open]").count() == 1


def test_the_contents_mark_what_is_read_and_every_entry_leads_there(visit):
    page, _, _ = visit()
    entries = page.locator("nav.rail a")
    targets = [entry.get_attribute("href")[1:] for entry in entries.all()]
    assert targets == ["d0", "d0m0", "d0m1", "method"]
    for target in targets:
        page.locator(f"nav.rail a[href='#{target}']").click()
        page.wait_for_function(
            "hash => document.querySelector('nav.rail a[aria-current]')?.hash == hash",
            arg=f"#{target}",
        )
        assert page.locator("nav.rail a[aria-current]").count() == 1


def test_the_keyboard_skips_the_contents_and_opens_a_page(visit):
    page, _, _ = visit(unfolded=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id == 'main'")
    page.locator("details.page > summary").first.focus()
    page.keyboard.press("Enter")
    assert is_open(page.locator("details.page").first)


def test_on_a_phone_the_contents_wait_and_model_and_verdict_stay_in_sight(visit):
    page, _, _ = visit(400)
    assert page.locator("nav.rail a").first.is_hidden()
    page.locator("nav.rail summary").click()
    page.locator("nav.rail a").last.click()
    page.wait_for_function("() => location.hash == '#method'")
    assert page.locator("nav.rail a").first.is_hidden()
    board = page.locator("div.scroll:has(table.board)")
    for shift in (0, 300):
        board.evaluate(f"board => board.scrollLeft = {shift}")
        for cell in board.locator("tbody th, tbody td.verdict").all():
            box = cell.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), pytest.param(400, "dark", marks=pytest.mark.slow)]
)
def test_the_page_breaks_no_rule_of_accessibility(visit, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not there")
    page, _, _ = visit(width, scheme, bypass_csp=True)
    # A drawing is one image to who cannot see it; axe would look at thousands of its marks.
    page.evaluate("document.querySelectorAll('figure svg > g').forEach(drawn => drawn.remove())")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], node["html"]) for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize("width", [400, 1280])
def test_no_line_crosses_a_label(visit, width):
    page, _, _ = visit(width)
    assert page.evaluate(CROSSED) == []
    lines = "".join(f"M 0 {y} H 760" for y in range(0, 400, 3))  # to see that it would tell
    page.evaluate(
        "path => document.querySelectorAll('#d0m0-curve svg').forEach("
        "svg => svg.insertAdjacentHTML('beforeend', path))",
        f"<path style='fill: none; stroke: red' d='{lines}'/>",
    )
    assert page.evaluate(CROSSED) != []


def is_open(details):
    return details.evaluate("part => part.open")
