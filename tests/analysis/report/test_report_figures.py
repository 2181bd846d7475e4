"""Small parts of the report's figures."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from analysis.report.figures.canvas import spread, text_width
from analysis.report.palette import ROLES, colour, with_variables
from analysis.report.svg import Drawing
from analysis.report.words import bounds, coded, loss


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


def test_bounds_without_an_interval_are_empty():
    assert bounds(None, None) == ""
    assert bounds(0.24, 0.365) == "24.0 to 36.5"
    assert bounds(-0.004, -0.0001) == "−0.4 to 0.0"


def test_commands_in_a_sentence_are_set_as_code_and_the_rest_is_escaped():
    assert coded("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
