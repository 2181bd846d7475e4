"""The comparison that the proofs with BI tools rest on finds what differs."""

from __future__ import annotations

import pytest

from bi.lake import difference

ROWS = [
    {"model_id": "a", "loss": 0.25, "is_present": True},
    {"model_id": "b", "loss": None, "is_present": False},
]


def test_order_rounding_and_the_stamp_do_not_matter() -> None:
    shown = [{**ROWS[1], "built_at": 1}, {**ROWS[0], "loss": 0.25 + 1e-14, "built_at": 1}]
    assert difference(shown, ROWS) is None


def test_a_tool_without_integers_shows_whole_numbers() -> None:
    ranked = [{"rank": 2, "loss": 0.5}, {"rank": 1, "loss": 0.75}]
    shown = [{"rank": 1.0, "loss": 0.75}, {"rank": 2.0, "loss": 0.5}]
    assert difference(shown, ranked) is None
    assert "loss is 0.5 instead of 0.75" in str(difference([shown[1], shown[1]], ranked))


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ([{**ROWS[0], "loss": 0.2500001}, ROWS[1]], "loss is 0.2500001 instead of 0.25"),
        ([{**ROWS[0], "is_present": 1}, ROWS[1]], "is_present is 1 instead of"),
        ([ROWS[0], {**ROWS[1], "loss": 0.0}], "loss is 0.0 instead of None"),
        (ROWS[:1], "1 rows instead of 2"),
        ([ROWS[0], ROWS[0]], "instead of"),
        ([{"model_id": "a", "loss": 0.25}], "columns"),
        ([], "columns"),
    ],
)
def test_a_difference_is_named(shown: list[dict[str, object]], said: str) -> None:
    assert said in str(difference(shown, ROWS))


def test_no_rows_prove_nothing() -> None:
    assert difference([], []) == "the lake has no rows for it"
