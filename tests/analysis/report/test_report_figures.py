"""Small parts of the report's figures."""

from itertools import pairwise
from math import radians, sin
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.figure import Figure

from analysis.report import environment_for
from analysis.report.asking import Table
from analysis.report.figures.canvas import spread, text_width
from analysis.report.figures.heatmap import Matrix, draw_matrices
from analysis.report.palette import ROLES, colour, with_variables
from analysis.report.svg import Drawing
from analysis.report.words import bounds, coded, loss, loss_bounds, percent


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_keep_their_distance_and_their_order(positions):
    placed = spread(positions, gap=5, low=0, high=100)
    ordered = [place for _, place in sorted(zip(positions, placed, strict=True))]
    assert all(b - a >= 5 - 1e-9 for a, b in pairwise(ordered))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)


def test_words_of_any_script_are_drawn_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    drawn = Drawing(
        "key",
        lambda figure, _: figure.text(0.1, 0.5, "肺炎"),
        "title",
        "description",
        wide=100,
        narrow=100,
    ).__html__()
    assert "肺炎" in drawn
    assert not recwarn.list


@pytest.mark.parametrize("name", ["肺炎", "tab\there", "😀"])
def test_names_of_any_script_are_measured_without_a_warning(name, recwarn):
    assert text_width(name, 11) > 0
    assert not recwarn.list


def test_labels_that_do_not_overlap_stay_where_they_are():
    assert spread([10, 50, 90], gap=5, low=0, high=100) == [10, 50, 90]


def test_every_role_becomes_its_own_variable():
    styled = "".join(f'<path style="fill: {colour(role)}"/>' for role in ROLES)
    assert with_variables(styled) == "".join(
        f'<path style="fill: var(--{role})"/>' for role in ROLES
    )


def test_a_colour_of_no_role_is_an_error_but_text_is_left_alone():
    with pytest.raises(KeyError):
        with_variables('<path style="stroke: #ff0000"/>')
    assert with_variables("<text>model: #ff0000</text>") == "<text>model: #ff0000</text>"


@pytest.mark.parametrize(
    ("share", "text"), [(0.301, "−30.1"), (0.0, "0.0"), (-0.0, "0.0"), (None, "–")]
)
def test_losses_are_written_with_a_minus_sign(share, text):
    assert loss(share) == text


def test_the_interval_of_a_loss_has_its_sign():
    assert loss_bounds(0.437, 0.538) == "−53.8 to −43.7"
    assert loss_bounds(-0.01, 0.0) == "0.0 to 1.0"
    assert loss_bounds(None, None) == ""


def test_a_share_below_nothing_has_a_true_minus_sign():
    assert percent(-0.008) == "−0.8%"


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("n", [10, 17, 31, 60, 1000])
def test_names_of_classes_are_written_as_far_apart_as_they_are_high(n, beside):
    names = tuple(f"class {number}" for number in range(n))
    matrix = Matrix("m", "title", "rows", "columns", names, names, {(0, 0): 1}, frozenset())
    sizes = (760 / 72, 300 / 72) if beside else (380 / 72, 3 * 350 / 72)
    figure = Figure(sizes, dpi=72)
    draw_matrices([matrix] * 3, figure, beside=beside)
    for axes in figure.axes:
        across = np.diff(axes.transData.transform([(x, 0) for x in axes.get_xticks()])[:, 0])
        down = -np.diff(axes.transData.transform([(0, y) for y in axes.get_yticks()])[:, 1])
        assert min(across) * sin(radians(38)) > 8
        assert min(down) > 9
        assert len(across) >= min(n - 1, 8)


@pytest.mark.parametrize(
    ("n", "said"), [(20, "Images of each class, as"), (60, "Images of 20 of the 60 classes, as")]
)
def test_images_of_some_classes_are_not_said_to_be_of_each(n, said):
    shown = [({"label": "a", "phrase": "a"}, [])] * 20
    page = SimpleNamespace(class_images=shown, facts={"n_classes": n}, classes=Table([], ""))
    parts = environment_for().get_template("parts.jinja").module
    assert said in parts.class_images(page)


def test_bounds_without_an_interval_are_empty():
    assert bounds(None, None) == ""
    assert bounds(0.24, 0.365) == "24.0 to 36.5"
    assert bounds(-0.004, -0.0001) == "−0.4 to 0.0"


def test_commands_in_a_sentence_are_set_as_code_and_the_rest_is_escaped():
    assert coded("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
