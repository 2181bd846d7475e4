"""Stored intervals of losses, and whether they are still of today's numbers."""

import pytest

from tests.sql.worlds import interval, world

PROBES = {
    ("vision", 1, "grid"): (9, 18),
    ("connector", 0, "grid"): (8, 16),
    ("llm", 1, "last"): (7, 14),
}


@pytest.mark.exact_rows("loss_interval")
def test_an_interval_is_fresh_while_its_point_is_the_loss(catalogue):
    """From 0.9 by 0.8 and 0.7 to 0.65: losses of 0, 0.1, 0.1 and 0.05, 0.25 in all."""
    rows = world(PROBES, {"likelihood": (6, 13)}, {("svm", 0): (9, 18)})
    rows["stage_interval"] = [
        interval("vision", 0.0, -0.1, 0.1),
        interval("connector", 0.12, 0.05, 0.2, margin=0.03),
        interval("llm", 0.1, 0.0, 0.2, n_groups=12),
        interval("total", 0.25, 0.2, 0.3),
        interval("answer", 0.65, 0.6, 0.7, quantity="signal"),
    ]
    con = catalogue(rows)
    assert con.sql("SELECT * FROM loss_interval ORDER BY stage").fetchall() == [
        ("m", "d", "connector", 0.12, 0.05, 0.2, 20, 0.03, "accuracy", False),
        ("m", "d", "llm", 0.1, 0.0, 0.2, 12, 0.02, "accuracy", True),
        ("m", "d", "total", 0.25, 0.2, 0.3, 20, 0.02, "accuracy", True),
        ("m", "d", "vision", 0.0, -0.1, 0.1, 20, 0.02, "accuracy", True),
    ]


def test_where_a_loss_is_unknown_its_interval_and_the_totals_are_not_fresh(catalogue):
    """Without answers the last loss is unknown, and the sum with it."""
    rows = world(PROBES, baselines={("svm", 0): (9, 18)})
    rows["stage_interval"] = [
        interval(stage, point, 0.0, 0.2)
        for stage, point in (("answer", 0.0), ("connector", 0.1), ("total", 0.2))
    ]
    con = catalogue(rows)
    assert con.sql("SELECT stage, is_fresh FROM loss_interval ORDER BY stage").fetchall() == [
        ("answer", False),
        ("connector", True),
        ("total", False),
    ]
