"""The report: one file that needs nothing else, whatever the lake holds or lacks."""

import base64
import html
import re
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from analysis.diagnosis import diagnose
from analysis.report import report
from analysis.report.reading import Table, read_pages
from tests.lakes import Signals, rest_on, synthetic_lake, write_answers_alone
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

LOSING = Signals.losing
HOSTILE = 'evil<script>alert(1)</script>&"$dataset'
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

    VOID = frozenset({"meta", "link", "br", "wbr", "img", "use", "path", "rect"})

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


def test_the_file_needs_no_network(page):
    outline = Outline(page)
    assert {address.partition(",")[0] for address in outline.addresses} <= {
        "data:",
        "data:image/png;base64",
        "data:image/jpeg;base64",
    }
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_the_only_script_is_the_one_that_the_policy_names(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert page.count("<script") == 1
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy)
    assert not re.search(r"\son\w+=", page)


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
    # Overview and pairs, and four figures per model, each for wide and for narrow places.
    assert len(found) == 2 * (2 + 4 * len(MODELS))
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


@pytest.mark.slow
def test_the_same_lake_gives_the_same_bytes(lake, page, tmp_path):
    again = report(lake, tmp_path / "again.html")
    assert again.read_text("utf-8") == page


def tables_of(value):
    """Every Table that a page's dataclasses hold, however deep."""
    if isinstance(value, Table):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from tables_of(getattr(value, field.name))
    elif isinstance(value, list):
        for item in value:
            yield from tables_of(item)


def test_the_sql_beside_a_figure_gives_the_very_rows_it_was_drawn_from(lake, page):
    queries = {
        unescape(text)
        for text in re.findall(r'<details class="sql">.*?<code>(.*?)</code>', page, re.DOTALL)
    }
    with connect(lake) as wh:
        pages = read_pages(wh, [(model_id, "shapes") for model_id in sorted(MODELS)], 6)
        drawn = {table.sql: table.rows for table in tables_of(pages)}
        assert queries <= set(drawn)
        for query in queries:
            rows = wh.sql(query).pl().to_dicts()
            for row in rows:
                row.pop("versions", None)
            expected = [
                {name: value for name, value in row.items() if name != "versions"}
                for row in drawn[query]
            ]
            assert rows == expected
    for name in ("mart_leaderboard", "mart_model_pairs", "answer_confusion", "lens_accuracy"):
        assert any(name in query for query in queries)


def test_numbers_of_the_verdict_are_on_the_card(page):
    summary, card = re.search(
        r'<details class="page connector">\s*<summary>(.*?)</summary>\s*'
        r'<div class="card connector">(.*?)</div>',
        page,
        re.DOTALL,
    ).groups()
    assert "tiny<wbr>+fault:swap<wbr>@connector:0.5" in summary
    assert "connector fidelity" in summary
    assert "61.0% answered right · reference 96.0%" in summary
    assert "are no longer readable behind the connector" in card
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
    assert len(drawings(text)) == 2 * 5


@pytest.mark.parametrize(
    "model_id",
    [
        "mute",
        "blindfolded",
        pytest.param("unprobed", marks=pytest.mark.slow),
        pytest.param("only vision", marks=pytest.mark.slow),
    ],
)
def test_an_unfinished_model_gets_a_page_that_says_what_is_missing(model_id, tmp_path):
    lake = synthetic_lake(
        tmp_path / "lake", {model_id: UNFINISHED[model_id]}, n_samples=120, baseline=None
    )
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    assert '<span class="badge muted">undetermined</span>' in text
    assert "The verdict is open: no " in text
    outline = Outline(text)
    assert (outline.open, outline.wrong) == ([], [])


@pytest.mark.slow
def test_pictures_say_that_a_model_was_shown_others(tmp_path):
    models = {"tiny": LOSING(answer=0.2), "tiny+fault:lowres@vision:4": LOSING(vision=0.4)}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=120)
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    assert text.count("was shown them after <code>lowres@vision:4</code>") == 1


@pytest.mark.slow
def test_a_model_of_which_only_answers_are_known_has_a_page(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {"tiny": Signals()}, n_samples=120)
    write_answers_alone(lake, "likelihood")
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    assert "of its stages nothing can be told" in text
    assert "No layer of this model is known" in text
    kinds = "ranked with answers by generate, imported"
    assert f"by imported:x on 30 of 30 test samples ({kinds}): api" in text


@pytest.mark.slow
def test_several_datasets_are_linked_from_the_top_and_each_names_its_score(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {"tiny": Signals()}, n_samples=120)
    synthetic_lake(tmp_path / "lake", {"tiny": Signals()}, dataset_id="other", n_samples=120)
    rest_on(lake, "balanced_accuracy", "other")
    text = report(lake, tmp_path / "report.html").read_text("utf-8")
    other, shapes = re.split('<section id="d1"', text.split('<section id="d0"')[1])
    assert "score: balanced accuracy" in other
    assert "score: accuracy" in shapes
    for words, n_there in (("test images classified right", 0), ("balanced accuracy on test", 4)):
        assert (other.count(words), shapes.count(words)) == (n_there, 4 - n_there)
    rail = text.split('<nav class="rail"')[1].split("</nav>")[0]
    assert re.findall(r'<a href="#(\w+)">(?:<span class="\w+ dot".*?</span>)?([\w -]+)', rail) == [
        ("standing", "All models on all datasets"),
        ("d0", "Made-up other"),
        ("d0m0", "tiny"),
        ("d1", "Made-up shapes"),
        ("d1m0", "tiny"),
        ("method", "How to read this"),
    ]


def test_unknown_names_are_refused_with_the_nearest(lake, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(UsageError, match="no model 'tinny'; did you mean tiny"):
        report(lake, out, models=["tinny"])
    with pytest.raises(UsageError, match="no dataset 'shape'; did you mean shapes"):
        report(lake, out, datasets=["shape"])
    assert not out.exists()


def test_a_lake_without_models_has_nothing_to_report(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {}, n_samples=120)
    with pytest.raises(LayerhouseError, match="nothing to report: `layerhouse status`"):
        report(lake, tmp_path / "report.html")
    with pytest.raises(
        LayerhouseError, match="nothing to report about shapes: `layerhouse status`"
    ):
        report(lake, tmp_path / "report.html", datasets=["shapes"])


@pytest.mark.slow
def test_a_report_is_written_whole_or_not_at_all(lake, tmp_path):
    with pytest.raises(UsageError, match="is a folder; name a file"):
        report(lake, tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(LayerhouseError, match="cannot write the report"):
        report(lake, blocked / "report.html")
    report(lake, tmp_path / "new" / "report.html", models=["tiny"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


@pytest.mark.slow
def test_lost_images_are_shown_up_to_a_number_with_label_answer_and_name(lake, tmp_path):
    with connect(lake) as wh:
        lost = wh.sql(
            "SELECT sample_id, label, predicted_label, lost_at FROM mart_sample_outcomes "
            "WHERE model_id = 'tiny+fault:swap@connector:0.5' AND lost_at IS NOT NULL"
        ).fetchall()
    stages = {stage for *_, stage in lost}
    only = {"models": ["tiny+fault:swap@connector:0.5"]}
    text = report(lake, tmp_path / "r.html", **only, images=3).read_text("utf-8")
    found = re.findall(
        r'class="truth">(\w+)</span><span class="said">(.*?)</span>.*?<code>(.*?)</code></li>',
        text,
    )
    assert 0 < len(found) <= 3 * len(stages)
    known = {(label, f"answered: {said}", sample) for sample, label, said, _ in lost}
    assert set(found) <= known
    assert f"connector: {sum(stage == 'connector' for *_, stage in lost)} lost, 3 shown" in text
    none = report(lake, tmp_path / "none.html", **only, images=0).read_text("utf-8")
    assert '<ul class="samples">' not in none
    assert "Left out of this report" in none
    with pytest.raises(UsageError, match="at least 0, not -1"):
        report(lake, tmp_path / "less.html", images=-1)


def test_an_image_that_cannot_be_read_leaves_a_note_in_its_place(page):
    assert "image cannot be read here" in page


def test_the_root_of_a_lake_is_named_but_not_located(page, lake):
    assert f"Layerhouse · {Lake.at(lake).root.name}" in page
    assert str(lake.root.parent) not in page


@pytest.mark.slow
def test_images_of_each_class_are_shown_as_the_model_is_shown_them(lake, tmp_path):
    only = {"models": ["tiny"]}
    text = report(lake, tmp_path / "r.html", **only, images=2).read_text("utf-8")
    shown = text.split('<details class="classes">')[1].split("</details>")[0]
    with connect(lake) as wh:
        classes = wh.sql("SELECT label FROM class ORDER BY class_index").fetchall()
    assert [label.split(":")[0] for label in re.findall("<h3>(.*?)</h3>", shown)] == [
        label for (label,) in classes
    ]
    assert shown.count("<li>") == 2 * len(classes)
    none = report(lake, tmp_path / "none.html", **only, images=0).read_text("utf-8")
    assert '<details class="classes">' not in none


@pytest.mark.slow
def test_the_report_repeats_what_the_audit_of_the_images_found(figure_report):
    page = figure_report.read_text(encoding="utf-8")
    said = "brightness alone reads the class: balanced accuracy 0.700 [0.650, 0.750], chance 0.250"
    assert f"<li>{said}</li>" in page


@pytest.mark.slow
def test_of_many_models_a_page_shows_some_in_full_and_all_in_its_tables(
    lake, tmp_path, monkeypatch
):
    whole = report(lake, tmp_path / "whole.html").read_text("utf-8")
    assert "Page 1 of" not in whole
    with pytest.raises(UsageError, match="the report has 1 page; there is no page 2"):
        report(lake, tmp_path / "2.html", page=2)
    monkeypatch.setattr("analysis.report.reading.IN_FULL", 2)
    with connect(lake) as wh:
        pairs = [(name, "shapes") for name in MODELS]
        first, second = (read_pages(wh, pairs, 0, number) for number in (1, 2))
    assert [len(page.datasets[0].models) for page in (first, second)] == [2, 1]
    in_order = [row["model_id"] for row in first.datasets[0].leaderboard.rows]
    assert [m.model_id for p in (first, second) for m in p.datasets[0].models] == in_order
    for number in (1, 2):
        out = report(lake, tmp_path / f"{number}.html", page=number).read_text("utf-8")
        outline = Outline(out)
        assert outline.wrong == []
        assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
        board = out.split('<table class="board judged"')[1].split("</table>")[0]
        assert board.count('<th scope="row">') == len(MODELS)
        assert board.count("<a href") == 3 - number
        assert f"Page {number} of 2" in out
        assert f"report --page {3 - number}</code>" in out
    with pytest.raises(UsageError, match="the report has 2 pages; there is no page 3"):
        report(lake, tmp_path / "3.html", page=3)
    assert not (tmp_path / "3.html").exists()
