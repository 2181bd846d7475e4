"""The report: one file that needs nothing else, whatever the lake holds or lacks."""

import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from analysis.diagnosis import diagnose
from analysis.report import report
from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

LOSING = Signals.losing
HOSTILE = 'evil<script>alert(1)</script>&"$x$'
MODELS = {
    "tiny": LOSING(connector=0.01, answer=0.01),
    "tiny+fault:swap@connector:0.5": LOSING(connector=0.3, answer=0.05),
    HOSTILE: replace(LOSING(answer=0.3), unparsed=0.2),
}
UNFINISHED = {
    "mute": Signals(methods=()),
    "unprobed": Signals(modules=()),
    "blindfolded": Signals(modules=("llm",)),
    "only vision": Signals(modules=("vision",), methods=()),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = synthetic_lake(tmp_path_factory.mktemp("lake"), MODELS, n_samples=400)
    for model_id in MODELS:
        diagnose(lake, model_id, "shapes", n_resamples=200)
    return lake


@pytest.fixture(scope="module")
def page(lake, tmp_path_factory):
    return report(lake, tmp_path_factory.mktemp("out") / "report.html").read_text("utf-8")


class Outline(HTMLParser):
    """What a page holds: ids, targets of links, addresses, and whether its tags match."""

    VOID = frozenset({"meta", "link", "br", "wbr", "use", "path", "rect"})

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.addresses, self.open, self.wrong = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        for name in ("href", "src", "xlink:href", "action"):
            if name in given:
                (self.links if given[name].startswith("#") else self.addresses).append(given[name])
        for name in ("aria-labelledby",):
            self.links += [f"#{target}" for target in given.get(name, "").split()]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def drawings(page):
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_file_needs_no_network_and_no_script(page):
    outline = Outline(page)
    assert outline.addresses == ["data:,"]
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_tags_match_ids_are_unique_and_every_link_has_a_target(page):
    outline = Outline(page)
    assert (outline.open, outline.wrong) == ([], [])
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(outline.ids)


def test_names_from_the_lake_are_escaped_wherever_they_stand(page):
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "evil&lt;script&gt;" in page
    titles = [drawing[0].text for drawing in drawings(page)]
    assert f"Signal curve of {HOSTILE} on shapes" in titles


def test_every_drawing_is_described_and_takes_its_colours_from_the_page(page):
    found = drawings(page)
    # An overview, and three figures per model, each for wide and for narrow places.
    assert len(found) == 2 * (1 + 3 * len(MODELS))
    for drawing in found:
        assert drawing.get("role") == "img"
        title, description = drawing[0], drawing[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text
        assert description.text
        assert drawing.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    svg = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert not re.search(r"(?:fill|stroke)(?:: |=\")#", svg)
    assert set(re.findall(r"var\((--[a-z]+)\)", page)) <= set(re.findall(r"(--[a-z]+):", page))


def test_light_and_dark_define_the_same_colours(page):
    light, dark = (re.findall(r"(--\w+): #", block) for block in page.split("dark)")[:2])
    assert light == dark[: len(light)]


def test_the_same_lake_gives_the_same_bytes(lake, page, tmp_path):
    again = report(lake, tmp_path / "again.html")
    assert again.read_text("utf-8") == page


def test_the_sql_beside_a_figure_can_be_run_as_it_stands(lake, page):
    queries = [
        unescape(text)
        for text in re.findall(r'<details class="sql">.*?<code>(.*?)</code>', page, re.DOTALL)
    ]
    # Per dataset: overview, leaderboard, baselines; per model: three figures and three tables.
    assert len(queries) == 3 + 6 * len(MODELS)
    with connect(lake) as wh:
        for query in queries:
            assert "$model" not in query
            assert wh.sql(query).fetchall()


def test_numbers_of_the_verdict_are_on_the_card(page):
    card = re.search(r'<div class="card connector">(.*?)</div>', page, re.DOTALL)[1]
    assert "tiny<wbr>+fault:swap<wbr>@connector:0.5" in card
    assert "connector fidelity" in card
    assert "are lost in the connector" in card
    primary = re.search(r'<li class="connector primary">(.*?)</li>', card, re.DOTALL)[1]
    assert "66.0%" in primary
    assert "−30.0" in primary


def test_runs_behind_the_numbers_are_listed(lake, page):
    with connect(lake) as wh:
        runs = wh.sql("SELECT run_id FROM run").fetchall()
    assert len(runs) > 6
    for (run_id,) in runs:
        assert run_id in page
    assert re.search(r"duckdb \d", page)
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page)


def test_only_what_was_asked_for_is_shown(lake, tmp_path):
    text = report(lake, tmp_path / "r.html", models=["tiny"], datasets=["shapes"]).read_text()
    assert "swap@connector" not in text
    assert len(drawings(text)) == 2 * 4


@pytest.mark.parametrize("model_id", UNFINISHED)
def test_an_unfinished_model_gets_a_page_that_says_what_is_missing(model_id, tmp_path):
    lake = synthetic_lake(
        tmp_path / "lake", {model_id: UNFINISHED[model_id]}, n_samples=120, baseline=None
    )
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    assert '<p class="badge muted">undetermined</p>' in text
    assert "The verdict is open: no " in text
    outline = Outline(text)
    assert (outline.open, outline.wrong) == ([], [])


def test_several_datasets_are_linked_from_the_top(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {"tiny": Signals()}, n_samples=120)
    synthetic_lake(tmp_path / "lake", {"tiny": Signals()}, dataset_id="other", n_samples=120)
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    assert '<li><a href="#d0">Made-up other</a></li>' in text
    assert '<li><a href="#d1">Made-up shapes</a></li>' in text


def test_unknown_names_are_refused_with_the_nearest(lake, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(UsageError, match="no model 'tinny'; did you mean tiny"):
        report(lake, out, models=["tinny"])
    with pytest.raises(UsageError, match="no dataset 'shape'; did you mean shapes"):
        report(lake, out, datasets=["shape"])
    assert not out.exists()


def test_a_lake_without_models_has_nothing_to_report(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {}, n_samples=120)
    with pytest.raises(LayerhouseError, match="nothing to report: run `layerhouse extract`"):
        report(lake, tmp_path / "report.html")
    with pytest.raises(LayerhouseError, match="nothing to report about shapes: run"):
        report(lake, tmp_path / "report.html", datasets=["shapes"])


def test_a_report_is_written_whole_or_not_at_all(lake, tmp_path):
    with pytest.raises(UsageError, match="is a folder; name a file"):
        report(lake, tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(LayerhouseError, match="cannot write the report"):
        report(lake, blocked / "report.html")
    report(lake, tmp_path / "new" / "report.html", models=["tiny"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium to open the report with")
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_lays_the_page_out_without_overflow(page, tmp_path, width):
    # A frame of the wanted width, since a headless window has a smallest size of its own.
    measured = page.replace("default-src 'none'; ", "")
    (tmp_path / "report.html").write_text(measured)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>onload = () => { const page = frames[0].document.documentElement;"
        "const drawn = [...page.querySelectorAll('svg')].filter(s => s.clientWidth).length;"
        "document.body.textContent = `width ${page.scrollWidth} drawn ${drawn}`; }</script>"
    )
    done = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--allow-file-access-from-files",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r"width (\d+) drawn (\d+)", done.stdout)
    assert found, done.stdout
    assert int(found[1]) <= width
    assert int(found[2]) == 1 + 3 * len(MODELS)


def test_the_root_of_a_lake_is_named_but_not_located(page, lake):
    assert f"Layerhouse · {Lake.at(lake).root.name}" in page
    assert str(lake.root.parent) not in page
