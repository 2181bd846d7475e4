"""The replies that name no class although the last token still knew it."""

import pytest

from tests.sql.worlds import ended, world

VISION = {("vision", 1, "grid"): (9, 18)}


def known(con):
    return con.sql("SELECT * FROM unparsed_knowledge").fetchall()


@pytest.mark.exact_rows("unparsed_knowledge")
def test_silent_replies_that_the_probe_knew_are_a_share_of_all_answers(catalogue):
    """Seeds know the first 14 and the first 8: of replies 2, 10 and 19 they know two and one."""
    probes = VISION | {("llm", 1, "last", 0): (9, 14), ("llm", 1, "last", 1): (9, 8)}
    con = catalogue(world(probes, {"generate": (5, 10)}, unparsed=(2, 10, 19)))
    assert known(con) == [("m", "d", pytest.approx((2 / 20 + 1 / 20) / 2), 0.0)]


def test_those_that_were_cut_are_a_part_of_them(catalogue):
    probes = VISION | {("llm", 1, "last"): (9, 14)}
    rows = ended(world(probes, {"generate": (5, 10)}, unparsed=(2, 10, 19)), cut=(0, 10, 19))
    assert known(catalogue(rows)) == [("m", "d", pytest.approx(2 / 20), pytest.approx(1 / 20))]


def test_silent_replies_that_the_probe_did_not_know_cost_nothing(catalogue):
    probes = VISION | {("llm", 1, "last"): (9, 14)}
    con = catalogue(world(probes, {"generate": (5, 10)}, unparsed=(18, 19)))
    assert known(con) == [("m", "d", 0.0, 0.0)]


@pytest.mark.parametrize(
    ("answer", "unparsed"),
    [
        pytest.param((5, 10), (), id="every reply names a class"),
        pytest.param((10, 20), (2,), id="the answer stands for the llm stage"),
    ],
)
def test_there_is_no_row_without_silence_or_without_a_probe_for_the_llm(
    catalogue, answer, unparsed
):
    probes = VISION | {("llm", 1, "last"): (8, 14)}
    assert known(catalogue(world(probes, {"generate": answer}, unparsed=unparsed))) == []
