"""Figures and tables for a paper: every file stands by itself and says what the warehouse says."""

from __future__ import annotations

import csv
import json
import re
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given, strategies as st
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from PIL import Image

from analysis.report import figures
from analysis.report.figures.canvas import text_width
from analysis.report.figures.heatmap import Matrix, alone
from analysis.report.figures.overlay import _look, _names
from analysis.report.paper import forking
from analysis.report.paper.choices import (
    FIGURE_FORMS,
    FIGURE_WIDTHS,
    FIGURES,
    PRINTED_TABLES,
    TABLE_MARKUPS,
)
from analysis.report.paper.files import RESERVED, short_names
from analysis.report.paper.fonts import fonts_for
from analysis.report.paper.kinds import DATASET_FIGURES, MODEL_FIGURES, OVERLAY
from analysis.report.paper.legible import legible, names_for, texts
from analysis.report.paper.markup import MARKUPS, Field, Grid, latex, markdown
from analysis.report.paper.pictures import COLUMNS, FORMS, PaperFigure, write_picture
from analysis.report.paper.tables import TABLES
from analysis.report.paper.wishing import Wish
from analysis.report.paper.writing import write_figures
from analysis.report.reading import read_pages
from tests.analysis.report_lake import DATASET, FAULTY, HEALTHY
from tests.said_commands import said_commands
from warehouse.catalogue.refreshing import connect

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def page(figure_lake):
    """Of the lake that has something for every figure."""
    with connect(figure_lake) as wh:
        return read_pages(wh, [(HEALTHY, DATASET), (FAULTY, DATASET)], 0).datasets[0]


@pytest.fixture(scope="module")
def outcome(figure_lake, tmp_path_factory):
    """The tables and what is said of figures, of which none is drawn."""
    folder = tmp_path_factory.mktemp("tables")
    return write_figures(figure_lake, folder, [HEALTHY, FAULTY], [], Wish((), "csv"))


@pytest.fixture(scope="module")
def drawings(page):
    """(name, drawing) of every figure of the healthy model and of the dataset."""
    own = next(model for model in page.models if model.model_id == HEALTHY)
    found = [(name, kind.draw(own)) for name, kind in MODEL_FIGURES.items()]
    found += [(name, kind.draw(page)) for name, kind in DATASET_FIGURES.items()]
    return [(name, drawing) for name, drawing in found if drawing is not None]


def test_every_figure_of_the_report_is_one_for_a_paper(drawings):
    of_report = {name for name in figures.__all__ if name.islower()} - {"overlay", "projection"}
    known = {name.replace("-", "_") for name in (*MODEL_FIGURES, *DATASET_FIGURES)}
    assert known - {"losses"} | {"waterfall"} == of_report
    assert {name for name, _ in drawings} == {*MODEL_FIGURES, *DATASET_FIGURES}


def test_the_words_to_choose_by_are_those_that_are_understood():
    understood = FORMS, COLUMNS, MARKUPS, (*MODEL_FIGURES, *DATASET_FIGURES, OVERLAY), TABLES
    words = FIGURE_FORMS, FIGURE_WIDTHS, TABLE_MARKUPS, FIGURES, PRINTED_TABLES
    assert tuple(map(tuple, understood)) == words


@pytest.mark.parametrize("width", FIGURE_WIDTHS)
def test_no_letter_on_paper_is_smaller_than_6_points(drawings, width):
    column = COLUMNS[width]
    for name, drawing in drawings:
        figure = Figure(figsize=(column.pixels / 72, 300 / 72), dpi=72)
        drawing.draw(figure, column.is_narrow)
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) * column.scale >= 6, name


def test_an_svg_needs_no_stylesheet_font_or_other_file(drawings, tmp_path):
    path = tmp_path / "a.svg"
    for _, drawing in drawings:
        picture = PaperFigure(drawing.draw, drawing.narrow, drawing.title, drawing.description)
        write_picture(picture, path, "svg", COLUMNS["single"], fonts_for([]))
        text = path.read_text("utf-8")
        root = ElementTree.fromstring(text)
        assert root.get("width") == "3.5in"
        assert root.find(f"{SVG}title").text == drawing.title
        assert root.find(f"{SVG}desc").text == drawing.description
        assert not list(root.iter(f"{SVG}text"))
        assert not re.search(r"var\(|@import|url\((?!#)|#0a0b", text)
        assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))


def test_what_each_file_shows_stands_beside_it(figure_lake, tmp_path):
    wish = Wish(("svg",), None, only=("signal-curve",))
    (path,) = write_figures(figure_lake, tmp_path, [HEALTHY], [], wish).written
    said = json.loads((tmp_path / "figures.json").read_text("utf-8"))["files"]
    assert list(said) == [path.name] == ["shapes--tiny--signal-curve.svg"]
    curve = said[path.name]
    assert (curve["model_id"], curve["dataset_id"]) == (HEALTHY, DATASET)
    assert curve["description"].startswith("Test accuracy by locus")
    assert (curve["width_inches"], curve["height_inches"]) == (3.5, 3.04)


def test_what_has_no_data_is_told_in_one_line_for_all(outcome):
    (line,) = [note for note in outcome.notes if "causal" in note]
    name, fault = FAULTY.split("+fault:")
    assert line == (
        f"no causal of {FAULTY} on {DATASET}: nothing was patched between images: run `layerhouse "
        f"patch --model {name} --fault {fault} --dataset {DATASET}`"
    )


@pytest.mark.parametrize("name", MODEL_FIGURES)
def test_the_commands_that_would_make_a_figure_run_as_they_are_told(name):
    figure, dataset = MODEL_FIGURES[name], " --dataset 'a b'"
    named = {
        "arguments": f" --model m+fault:head@answer{dataset}",
        "making": f" --model m --fault head@answer{dataset}",
        "plain": f" --model m{dataset}",
    }
    for said in filter(None, (figure.missing, figure.brought)):
        told = said.format(**named)
        assert bool(said_commands(told)) == ("`" in told)


def _streams(pdf: bytes) -> list[bytes]:
    found = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return [zlib.decompress(part) for part in found if part[:1] == b"x"]


def test_a_pdf_has_its_fonts_and_the_width_of_a_column(drawings, tmp_path):
    drawing = dict(drawings)["signal-curve"]
    path = tmp_path / "a.pdf"
    picture = PaperFigure(drawing.draw, drawing.narrow, drawing.title, "")
    write_picture(picture, path, "pdf", COLUMNS["single"], fonts_for([]))
    pdf = path.read_bytes()
    x, y, right, top = map(float, re.search(rb"/MediaBox \[ ([^\]]*) \]", pdf)[1].split())
    assert (x, y, right / 72) == (0, 0, pytest.approx(3.5))
    assert top / 72 == pytest.approx(drawing.narrow * 3.5 / 380)
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    maps = b"".join(stream for stream in _streams(pdf) if b"begincmap" in stream)
    assert b"<0061>" in maps.lower() or b"<0065>" in maps.lower()  # letters can be found and copied


def test_a_line_to_the_far_corner_of_a_pdf_is_drawn_to_its_end(tmp_path):
    def draw(figure, _):
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0, 1, 2, 3], [0, 1, 2, 3])
        axes.set_xlim(0, 3)

    path = tmp_path / "a.pdf"
    picture = PaperFigure(draw, 300, "line", "")
    write_picture(picture, path, "pdf", COLUMNS["single"], fonts_for([]))
    content = max(_streams(path.read_bytes()), key=lambda part: part.count(b" l"))
    xs = [float(x) for x in re.findall(rb"([\d.]+) [\d.]+ l", content)]
    assert max(xs) == pytest.approx(380, abs=1)
    assert re.search(rb"0\.66315\d* 0 0 0\.66315\d* 0 0 cm", content)


def test_a_png_has_300_dots_per_inch(drawings, tmp_path):
    drawing = dict(drawings)["losses"]
    path = tmp_path / "a.png"
    picture = PaperFigure(drawing.draw, drawing.wide, drawing.title, "")
    write_picture(picture, path, "png", COLUMNS["double"], fonts_for([]))
    image = Image.open(path)
    assert image.size == (2160, pytest.approx(drawing.wide * 2160 / 760, abs=1))
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert image.convert("RGBA").getpixel((1, 1)) == (255, 255, 255, 255)


def test_the_same_lake_gives_the_same_bytes(figure_lake, tmp_path):
    wish = Wish(("pdf", "png"), None, only=("health-profile",))
    once, twice = (
        write_figures(figure_lake, tmp_path / name, [HEALTHY], [], wish).written for name in "ab"
    )
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in twice]
    assert len(once) == 2


def test_figures_are_the_same_bytes_from_one_process_and_from_three(
    figure_lake, tmp_path, monkeypatch
):
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    wish = Wish(("pdf",), None)
    written = []
    for n in (1, 3):
        monkeypatch.setattr(forking, "_processes", lambda _, n=n: n)
        written.append(write_figures(figure_lake, tmp_path / str(n), [], [], wish).written)
    one, several = ([(path.name, path.read_bytes()) for path in paths] for paths in written)
    assert one == several
    assert len(one) > 10
    assert len(list(passing.iterdir())) <= 1


# Several models in one figure


def _panel(dataset_id, accuracies):
    """A dataset on which models of different depths read these shares, one after each layer."""
    curves = [
        {"model_id": name, "module": module, "depth": depth, "test_accuracy": share, "chance": 0.25}
        for name, shares in accuracies.items()
        for depth, (module, share) in enumerate(shares)
    ]
    board = [
        {"model_id": name, "answer_accuracy": shares[-1][1] - 0.1, "answer_lower": 0.3}
        | {"answer_upper": 0.9}
        for name, shares in accuracies.items()
    ]
    return figures.Panel(dataset_id, "accuracy", curves, board)


DEEP = [("vision", 0.4), ("vision", 0.6), ("connector", 0.7), ("llm", 0.5), ("llm", 0.8)]
FLAT = [("vision", 0.9), ("connector", 0.45), ("llm", 0.55)]


def test_models_of_any_depth_lie_over_each_other_in_scale(tmp_path):
    panels = [_panel("a", {"deep": DEEP, "flat": FLAT}), _panel("b", {"deep": FLAT})]
    drawing = figures.overlay(panels, ["deep", "flat", "mute"])
    picture = PaperFigure(drawing.draw, drawing.wide, drawing.title, drawing.description)
    write_picture(picture, tmp_path / "a.svg", "svg", COLUMNS["double"], fonts_for([]))
    places = {}
    for group in ElementTree.fromstring((tmp_path / "a.svg").read_text("utf-8")).iter():
        if (name := group.get("data-mark")) is not None:
            uses = [use for use in group.iter() if use.tag.endswith("use")]
            places[name] = [(float(use.get("x")), float(use.get("y"))) for use in uses]
    values = {"a:deep": DEEP, "a:flat": FLAT, "b:deep": FLAT}
    assert places.keys() == values.keys() | {f"{name}:answer" for name in values}
    points = [
        (y, share)
        for name, layers in values.items()
        for (_, y), (_, share) in zip(places[name], layers, strict=True)
    ]
    slope, offset = np.polyfit([share for _, share in points], [y for y, _ in points], 1)
    assert max(abs(slope * share + offset - y) for y, share in points) < 0.01
    (first, second, connector, *_), (only, bridge, _) = places["a:deep"], places["a:flat"]
    assert first[0] < only[0] < second[0] < connector[0] == pytest.approx(bridge[0])


def test_one_model_on_one_dataset_is_no_overlay():
    assert figures.overlay([_panel("a", {"deep": DEEP})], ["deep"]) is None
    assert figures.overlay([_panel("a", {})], ["deep", "flat"]) is None


def test_no_two_of_the_models_that_one_figure_holds_look_alike():
    assert len({str(sorted(_look(at).items(), key=str)) for at in range(figures.MOST)}) == 14


def test_names_that_would_be_shortened_alike_are_numbered():
    names = _names([f"{'x' * 60}{letter}{'y' * 60}" for letter in "ab"], 200)
    assert len(set(names)) == 2
    assert [name[:2] for name in names] == ["1 ", "2 "]
    assert all(text_width(name, 11) <= 200 for name in names)


def test_a_matrix_of_many_classes_names_some_of_them_and_shows_every_cell():
    names = tuple(f"class number {at}" for at in range(300))
    counts = {(at, (at + 7) % 300): 1 for at in range(300)}
    matrix = Matrix("m", "Answer", "label", "answer", names, names, counts, frozenset())
    figure = Figure(figsize=(380 / 72, 350 / 72), dpi=72)
    alone([matrix])["m"](figure, True)
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == len(set(labels)) <= 17
    (cells,) = axes.collections
    shown = [path.get_extents() for path in cells.get_paths()]
    centres = np.array([(box.x0 + box.x1, box.y0 + box.y1) for box in shown]) / 2
    assert np.abs(centres - [(column, row) for row, column in counts]).max() < 1e-9
    to_pixels = axes.get_window_extent().width / 300
    assert min(box.width for box in shown) * to_pixels >= 1


# Tables


def test_a_table_holds_the_numbers_of_the_mart(outcome, figure_lake):
    folder = outcome.written[0].parent
    with connect(figure_lake) as wh:
        for name, mart, keys in (
            ("losses", "mart_failure_modes", ("model_id", "failure_mode")),
            ("leaderboard", "mart_leaderboard", ("model_id",)),
            ("pairs", "mart_model_pairs", ("model_id", "base_model_id", "stage", "quantity")),
            ("baselines", "baseline_candidate", ("architecture",)),
        ):
            with (folder / f"shapes--table-{name}.csv").open(newline="") as stream:
                found = list(csv.DictReader(stream))
            stored = {
                tuple(row[key] for key in keys): row
                for row in wh.sql(f"FROM {mart} WHERE dataset_id = '{DATASET}'").pl().to_dicts()
            }
            assert found
            for row in found:
                own = stored[tuple(row[key] for key in keys)]
                shared = row.keys() & own.keys()
                assert len(shared) >= 5
                for key in shared:
                    said = "" if own[key] is None else str(own[key])
                    assert row[key] == said, (name, key)


def test_printed_losses_are_those_of_the_mart_rounded(figure_lake, tmp_path):
    write_figures(figure_lake, tmp_path, [], [], Wish((), "latex", only=("losses",)))
    text = (tmp_path / "shapes--table-losses.tex").read_text()
    with connect(figure_lake) as wh:
        loss, lower, upper = (
            wh.sql(
                "SELECT 100 * loss, 100 * loss_lower, 100 * loss_upper FROM mart_failure_modes "
                f"WHERE model_id = '{FAULTY}' AND failure_mode = 'connector_fidelity'"
            )
            .pl()
            .row(0)
        )
    assert rf"\textbf{{{loss:.1f} [{lower:.1f}, {upper:.1f}]}}" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in lines}) == 1
    assert [name for name in (r"\toprule", r"\midrule", r"\bottomrule") if name not in text] == []


HOSTILE = r"a_b & 50% #1 {x} \input ~^ <$HOME> | [y] `z` 中"


def test_names_give_no_orders_to_latex_or_markdown():
    grid = Grid("t\n\\input{x}", ["Model", "%"], 1, [[Field(HOSTILE), Field("−1.0")]], [])
    text = latex(grid)
    assert all(line.startswith("%") for line in text.partition(r"\begin{tabular}")[0].splitlines())
    (row,) = [line for line in text.splitlines() if "50" in line]
    bare = re.sub(
        r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|"
        r"`)\{\}|\\symbol\{34\}|\\[&%$#_{}]|\$[-|]\$",
        "",
        row,
    )
    assert bare == r"ab  50 1 x input  HOME  [y] z 中 & 1.0 \\"
    assert "XeLaTeX" in text
    assert latex(replace(grid, rows=[[Field("[3pt]"), Field("*")]])).count("\n{}[3pt]") == 1
    (row,) = markdown(grid).splitlines()[2:]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


# Names of files


@given(st.lists(st.text(max_size=80), unique=True, max_size=12))
def test_names_of_files_are_safe_and_no_two_alike(names):
    found = short_names(names)
    assert len({short.lower() for short in found.values()}) == len(set(names))
    for short in found.values():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,67}", short)
        assert not RESERVED.match(short)
        assert "--" not in short


def test_names_of_files_say_what_they_are_of():
    names = ["Qwen/Qwen2.5-VL", "a+b", "a-b", "A-B", "con", "模型"]
    found = short_names(names)
    assert found["Qwen/Qwen2.5-VL"] == "Qwen-Qwen2-5-VL"
    assert all(found[name].lower().startswith("a-b-") for name in names[1:4])
    assert re.fullmatch(r"con-[0-9a-f]{6}", found["con"])
    assert re.fullmatch(r"[0-9a-f]{6}", found["模型"])


# Letters of any script


CLASSES = ["肺炎", "正常", "结节", "水肿"]


def _with_labels(page, labels):
    models = [
        replace(
            model,
            classes=replace(
                model.classes,
                rows=[{**row, "label": labels[row["class_index"]]} for row in model.classes.rows],
            ),
        )
        for model in page.models
    ]
    return replace(page, models=models)


def _font(path: Path, letters: str) -> Path:
    """A real TrueType font that has a box for each of these letters and no other."""
    names = [".notdef", *(f"u{ord(letter):X}" for letter in letters)]
    pen = TTGlyphPen(None)
    for x, y in ((0, 0), (0, 700), (700, 700), (700, 0)):
        (pen.moveTo if (x, y) == (0, 0) else pen.lineTo)((x, y))
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(
        {ord(letter): name for letter, name in zip(letters, names[1:], strict=True)}
    )
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(
        {"familyName": "Boxes Sans SC", "styleName": "Regular", "psName": "BoxesSansSC"}
    )
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_classes_that_no_font_can_write_stand_by_their_index(page):
    odd = _with_labels(page, ["\U000f0001", "normal", "nodule", "oedema"])
    names = names_for(odd, fonts_for(texts(odd)))
    assert names.legend == [("0", "\U000f0001"), ("1", "normal"), ("2", "nodule"), ("3", "oedema")]
    drawn = legible(odd, names).models[0]
    assert [row["label"] for row in drawn.classes.rows] == ["0", "1", "2", "3"]
    owned = [row for row in legible(page, names).models[0].ownership.rows if "label" in row]
    assert all(row["label"] not in names.classes for row in owned)


def test_other_names_that_no_font_can_write_stand_by_a_mark(page):
    models = [replace(model, model_id="\U000f0001") for model in page.models[:1]]
    odd = replace(page, dataset_id="\U000f0002", models=models)
    names = names_for(odd, fonts_for(texts(odd)))
    drawn = legible(odd, names)
    assert re.fullmatch(r"#[0-9a-f]{4}", drawn.dataset_id)
    assert dict(names.legend)[drawn.dataset_id] == "\U000f0002"


def test_letters_are_drawn_with_a_font_that_has_them(page, tmp_path, recwarn):
    letters = "".join(sorted({letter for name in CLASSES for letter in name}))
    fontManager.addfont(_font(tmp_path / "boxes.ttf", letters))
    try:
        written = _with_labels(page, CLASSES)
        fonts = fonts_for(texts(written))
        assert fonts.have("".join(CLASSES))
        assert not names_for(written, fonts).legend
        drawing = figures.confusion(written.models[0])
        for form in FIGURE_FORMS:
            picture = PaperFigure(drawing.draw, drawing.narrow, drawing.title, "")
            write_picture(picture, tmp_path / f"a.{form}", form, COLUMNS["single"], fonts)
    finally:
        fontManager.ttflist = [font for font in fontManager.ttflist if font.name != "Boxes Sans SC"]
    assert not [w for w in recwarn.list if "missing from" in str(w.message)]
    if fonts.families[1:] == ("Boxes Sans SC",):  # no other font of this machine has them
        assert b"BoxesSansSC" in (tmp_path / "a.pdf").read_bytes()
